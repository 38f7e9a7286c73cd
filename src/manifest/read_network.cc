#include <map>

#include "manifest/loading.h"
#include "manifest/short_forms.h"

namespace vmette::manifest {
namespace {

void read_ports(const Value& list, Loading& loading, Sandbox& sandbox) {
    std::map<std::tuple<std::string, std::uint16_t, PortProtocol>, std::size_t> taken;
    for (std::size_t i = 0; i < list.items.size(); ++i) {
        auto port = parse_port(list.items[i].text);
        if (!port) continue;
        auto [first, is_new] = taken.emplace(std::tuple(port->host_ip, port->host_port, port->protocol), i);
        if (!is_new)
            loading.report.add(list.items[i].place, "ports[{}]: ports[{}] already takes {} port {} of the host", i,
                               first->second, port->host_ip, port->host_port);
        sandbox.ports.push_back(std::move(*port));
    }
}

void read_network(const Value& root, Loading& loading, Sandbox& sandbox) {
    if (const Value* net = get(root, "net")) {
        read_choice(*net, "mode", sandbox.net.mode);
        if (const Value* allow = get(*net, "allow"))
            for (const Value& item : allow->items)
                if (auto rule = parse_allow(item.text)) sandbox.net.allow.push_back(std::move(*rule));
    }
    if (const Value* ports = get(root, "ports")) read_ports(*ports, loading, sandbox);
}

constexpr std::array<std::string_view, 2> kKeys{"net", "ports"};

}  // namespace

constinit const Section kNetworkSection{kKeys, read_network};

}  // namespace vmette::manifest
