//! `profile`: what the columns of the tables are, from parts that were counted side by side.
//!
//! Input: `part` of every `count-columns`. Output: `archive`, one row: the profile in an archive without a model.

use tenon_sdk::prelude::*;

use super::{archive_schema, one_archive, single, too_early};
use crate::{Archive, Profiler};

#[derive(Default)]
pub(super) struct ProfileColumns(Option<Profiler>);

impl Stream for ProfileColumns {
    const NAME: &'static str = "profile";
    const DOCS: &'static str = "Tells what each column holds: names, dates, numbers, codes, text; and how rare its values are.";

    fn bind(_config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        Ok(StreamBinding {
            inputs: vec![single(&inputs[0], &["part"])?],
            output: archive_schema(),
            deterministic: true,
        })
    }

    fn open(_config: &Config, _inputs: &[SchemaRef]) -> Result<Self> {
        Ok(Self::default())
    }

    fn push(&mut self, _input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        for part in batch.column(0).as_binary::<i32>().iter().flatten() {
            let part = Profiler::from_bytes(part)?;
            match &mut self.0 {
                Some(profiler) => profiler.merge(part),
                None => self.0 = Some(part),
            }
        }
        Ok(Vec::new())
    }

    fn finish(&mut self, _input: usize) -> Result<Vec<RecordBatch>> {
        let profiler = self.0.take().ok_or_else(|| too_early("what was counted"))?;
        let archive = Archive {
            profile: profiler.finish(),
            model: None,
        };
        Ok(vec![one_archive(&archive)?])
    }
}
