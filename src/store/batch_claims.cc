/// The pool that all vmette processes of the user share. No claim outlives its process, so none waits for the disk.

#include <limits>

#include "store/batch_row.h"
#include "store/batches.h"
#include "store/impl.h"
#include "store/values.h"

namespace vmette::store {
namespace {

template <typename T>
T sum(T a, T b) {
    return b > std::numeric_limits<T>::max() - a ? std::numeric_limits<T>::max() : a + b;
}

template <typename T>
bool within(T used, T wanted, T bound) {
    return bound == 0 || sum(used, wanted) <= bound;
}

/// What the claims of one process come to.
struct Claimant {
    ProcessIdentity process;
    Batches::Claim total;
};

std::vector<Claimant> claimants(Database& database) {
    Query query(
        database.prepared("SELECT pid, start_ticks, boot_id, vms, vcpus, memory_mib FROM claims "
                          "ORDER BY pid, start_ticks, boot_id"));
    std::vector<Claimant> found;
    while (query->executeStep()) {
        auto process = read_identity(*query, 0);
        Batches::Claim claim;
        read_value(query->getColumn(3), claim.vms);
        read_value(query->getColumn(4), claim.vcpus);
        read_value(query->getColumn(5), claim.memory_mib);
        if (found.empty() || found.back().process != process) found.push_back({std::move(process), {}});
        auto& total = found.back().total;
        total = {sum(total.vms, claim.vms), sum(total.vcpus, claim.vcpus), sum(total.memory_mib, claim.memory_mib)};
    }
    return found;
}

void drop_claims(Database& database, const ProcessIdentity& process) {
    Query query(database.prepared("DELETE FROM claims WHERE pid = ?1 AND start_ticks = ?2 AND boot_id IS ?3"));
    bind_identity(*query, 1, process);
    query->executeStep();
}

std::int64_t add_claim(Database& database, const ProcessIdentity& process, const Batches::Claim& claim) {
    Query query(
        database.prepared("INSERT INTO claims (pid, start_ticks, boot_id, vms, vcpus, memory_mib) "
                          "VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id"));
    bind_identity(*query, 1, process);
    bind_value(*query, 4, claim.vms);
    bind_value(*query, 5, claim.vcpus);
    bind_value(*query, 6, claim.memory_mib);
    query->executeStep();
    return query->getColumn(0).getInt64();
}

}  // namespace

Result<std::optional<std::int64_t>> Batches::claim(const ProcessIdentity& self, const Claim& wanted, const Claim& bound,
                                                   const std::function<bool(const ProcessIdentity&)>& alive) {
    Database& database = *store_.impl_->database;
    return database.write(Durability::process, [&]() -> std::optional<std::int64_t> {
        Claim used;
        for (const auto& [process, total] : claimants(database)) {
            if (process != self && !alive(process)) {
                drop_claims(database, process);
                continue;
            }
            used = {sum(used.vms, total.vms), sum(used.vcpus, total.vcpus), sum(used.memory_mib, total.memory_mib)};
        }
        bool fits = within(used.vms, wanted.vms, bound.vms) && within(used.vcpus, wanted.vcpus, bound.vcpus) &&
                    within(used.memory_mib, wanted.memory_mib, bound.memory_mib);
        if (!fits) return std::nullopt;
        return add_claim(database, self, wanted);
    });
}

Result<> Batches::release_claim(std::int64_t claim) {
    Database& database = *store_.impl_->database;
    return database.write(Durability::process, [&] {
        Query query(database.prepared("DELETE FROM claims WHERE id = ?1"));
        query->bind(1, claim);
        query->executeStep();
    });
}

}  // namespace vmette::store
