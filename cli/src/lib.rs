//! The program hedgerow: everything a person does.
