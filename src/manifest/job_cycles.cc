#include <algorithm>

#include "manifest/job_names.h"

namespace vmette::manifest {
namespace {

/// What needs what. Nodes: the jobs; then for each table one that leads to all its jobs, and one that leads to what all
/// of its jobs need, so that a table of n jobs with m needs has n + m edges.
class Graph {
public:
    using Node = std::uint32_t;

    Graph(const std::vector<JobTable>& tables, std::uint32_t jobs,
          const std::vector<std::pair<std::uint32_t, Need>>& own_needs)
        : tables_(tables), jobs_(jobs), own_needs_(own_needs) {
        table_of_.resize(jobs);
        first_own_.resize(jobs + 1);
        for (std::uint32_t t = 0; t < tables.size(); ++t)
            std::fill_n(table_of_.begin() + tables[t].first_job, tables[t].jobs, t);
        for (const auto& [job, need] : own_needs) ++first_own_[job + 1];
        for (std::uint32_t job = 0; job < jobs; ++job) first_own_[job + 1] += first_own_[job];
    }

    Node size() const { return jobs_ + 2 * groups(); }
    /// The `index`-th node that a node leads to; nothing past the last.
    std::optional<Node> edge(Node node, std::uint32_t index) const {
        if (node < jobs_) {
            if (index == 0) return jobs_ + groups() + table_of_[node];
            std::uint32_t own = first_own_[node] + index - 1;
            return own < first_own_[node + 1] ? std::optional(of(own_needs_[own].second)) : std::nullopt;
        }
        if (node < jobs_ + groups()) {
            const JobTable& table = tables_[node - jobs_];
            return index < table.jobs ? std::optional(table.first_job + index) : std::nullopt;
        }
        const auto& needs = tables_[node - jobs_ - groups()].common_needs;
        return index < needs.size() ? std::optional(of(needs[index])) : std::nullopt;
    }
    bool is_job(Node node) const { return node < jobs_; }
    bool is_group(Node node) const { return node >= jobs_ && node < jobs_ + groups(); }
    const JobTable& table(Node node) const {
        return tables_[node < jobs_ ? table_of_[node] : (node - jobs_) % groups()];
    }

private:
    std::uint32_t groups() const { return static_cast<std::uint32_t>(tables_.size()); }
    Node of(Need need) const { return need.group ? jobs_ + need.index : need.index; }

    const std::vector<JobTable>& tables_;
    std::uint32_t jobs_;
    const std::vector<std::pair<std::uint32_t, Need>>& own_needs_;
    std::vector<std::uint32_t> table_of_, first_own_;
};

/// Follows every edge once, depth first, and calls `report` with each cycle that an edge back closes. Of the cycles
/// that share a node one is told.
class Search {
public:
    explicit Search(const Graph& graph) : graph_(graph), state_(graph.size(), State::fresh) {}

    template <typename Report>
    void run(const Report& report) {
        for (Graph::Node node = 0; node < graph_.size(); ++node)
            if (state_[node] == State::fresh) follow(node, report);
    }

private:
    enum class State : std::uint8_t { fresh, open, done, told };

    template <typename Report>
    void follow(Graph::Node start, const Report& report) {
        push(start);
        while (!path_.empty()) {
            Graph::Node node = path_.back().first;
            auto next = graph_.edge(node, path_.back().second++);
            if (!next) {
                if (state_[node] == State::open) state_[node] = State::done;
                path_.pop_back();
            } else if (state_[*next] == State::fresh) {
                push(*next);
            } else if (state_[*next] == State::open) {
                tell(*next, report);
            }
        }
    }

    void push(Graph::Node node) {
        state_[node] = State::open;
        path_.emplace_back(node, 0);
    }

    template <typename Report>
    void tell(Graph::Node back_to, const Report& report) {
        auto first = std::ranges::find(path_, back_to, &std::pair<Graph::Node, std::uint32_t>::first);
        std::vector<Graph::Node> cycle;
        for (auto at = first; at != path_.end(); ++at) {
            cycle.push_back(at->first);
            state_[at->first] = State::told;
        }
        report(cycle);
    }

    const Graph& graph_;
    std::vector<State> state_;
    std::vector<std::pair<Graph::Node, std::uint32_t>> path_;  ///< (node, next edge)
};

/// "a needs b needs c needs a", long ones without their middle.
std::string cycle_text(const std::vector<std::string>& names) {
    constexpr std::size_t kShown = 8;
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (names.size() > kShown && i == kShown / 2) {
            std::size_t skipped = names.size() - kShown;
            text += fmt::format(" → … {} more", skipped);
            i += skipped;
        }
        text += fmt::format("{}{}", i == 0 ? "" : " → ", names[i]);
    }
    return text + " → " + names[0];
}

}  // namespace

void report_cycles(const std::vector<JobTable>& tables, const JobNames& names,
                   const std::vector<std::pair<std::uint32_t, Need>>& own_needs, BatchLoading& loading) {
    Graph graph(tables, names.size(), own_needs);
    // A name that was refused is shown as it is written.
    auto name_of = [&](Graph::Node job) {
        return names.name(job).empty() ? graph.table(job).spelling : std::string(names.name(job));
    };
    Search(graph).run([&](const std::vector<Graph::Node>& cycle) {
        // It begins with a job: a group alone needs nothing.
        std::size_t first = 0;
        while (!graph.is_job(cycle[first])) ++first;
        std::vector<std::string> shown;
        for (std::size_t i = 0; i < cycle.size(); ++i) {
            Graph::Node node = cycle[(first + i) % cycle.size()];
            if (graph.is_job(node)) shown.push_back(name_of(node));
            if (graph.is_group(node)) shown.push_back(graph.table(node).spelling);
        }
        const JobTable& table = graph.table(cycle[first]);
        loading.report.add(table.needs.empty() ? table.place : table.needs.front().place, "a cycle in needs: {}",
                           cycle_text(shown));
    });
}

}  // namespace vmette::manifest
