//! HTTPS, routing and the generic handlers.
