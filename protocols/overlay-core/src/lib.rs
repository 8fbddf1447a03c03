//! Pastry routing without input or output: state, messages, timers.
