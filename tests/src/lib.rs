//! Whole-system tests and benchmarks, driven by the real kubectl.
