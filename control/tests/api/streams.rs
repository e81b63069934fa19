//! log, exec and the proxies, against a kubelet of the test's own.
