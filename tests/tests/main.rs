//! Whole-system tests: real components in the real engine. One binary, one file for each topic.

mod hostile;
mod jobs;
mod matching;
