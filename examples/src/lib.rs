//! The examples stand in this folder, one file or folder each; this library is empty.
