//! Hosts in network namespaces, scenarios, demo and bench.
