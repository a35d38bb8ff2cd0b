//! The `map` functions.

use std::sync::Arc;

use tenon_sdk::arrow_array::types::Int64Type;
use tenon_sdk::arrow_array::{RecordBatchOptions, cast::AsArray as _};
use tenon_sdk::arrow_buffer::BooleanBuffer;
use tenon_sdk::prelude::*;

fn everything(input: &Schema) -> MapBinding {
    MapBinding {
        needs: (0..input.fields().len()).collect(),
        output: Arc::new(input.clone()),
        keep: Keep::None,
        deterministic: true,
    }
}

/// Every column as it came.
pub(crate) struct Identity;

impl Map for Identity {
    const NAME: &'static str = "identity";
    const DOCS: &'static str = "Returns every column as it came.";
    const ACCEPTS: Accepts = Accepts::ALL;

    fn bind(_config: &Config, input: &Schema) -> Result<MapBinding> {
        Ok(everything(input))
    }

    fn open(_config: &Config, _input: &SchemaRef) -> Result<Self> {
        Ok(Self)
    }

    fn apply(&mut self, batch: RecordBatch) -> Result<Mapped> {
        Ok(batch.into())
    }
}

/// Every column in its plain form.
pub(crate) struct Plain;

impl Map for Plain {
    const NAME: &'static str = "plain";
    const DOCS: &'static str = "Returns every column in its plain form.";

    fn bind(_config: &Config, input: &Schema) -> Result<MapBinding> {
        Ok(everything(input))
    }

    fn open(_config: &Config, _input: &SchemaRef) -> Result<Self> {
        Ok(Self)
    }

    fn apply(&mut self, batch: RecordBatch) -> Result<Mapped> {
        Ok(batch.into())
    }
}

/// No column of its own, some of the rows.
fn chosen(rows: usize, selection: Selection) -> Result<Mapped> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let columns = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options)?;
    Ok(Mapped {
        columns,
        selection: Some(selection),
    })
}

fn only_n(input: &Schema, output: Schema) -> Result<MapBinding> {
    Ok(MapBinding {
        needs: vec![tenon_sdk::column(input, "n")?],
        output: Arc::new(output),
        keep: Keep::All,
        deterministic: true,
    })
}

/// Rows whose `n` is even.
pub(crate) struct KeepEven;

impl Map for KeepEven {
    const NAME: &'static str = "keep-even";
    const DOCS: &'static str = "Keeps the rows whose n is even.";

    fn bind(_config: &Config, input: &Schema) -> Result<MapBinding> {
        only_n(input, Schema::empty())
    }

    fn open(_config: &Config, _input: &SchemaRef) -> Result<Self> {
        Ok(Self)
    }

    fn apply(&mut self, batch: RecordBatch) -> Result<Mapped> {
        let n = batch.column(0).as_primitive::<Int64Type>();
        let even = |row: usize| n.is_valid(row) && n.value(row) % 2 == 0;
        let mask = BooleanBuffer::collect_bool(n.len(), even);
        chosen(mask.count_set_bits(), Selection::Mask(mask))
    }
}

/// Every row two times.
pub(crate) struct Twice;

impl Map for Twice {
    const NAME: &'static str = "twice";
    const DOCS: &'static str = "Every row two times.";

    fn bind(_config: &Config, _input: &Schema) -> Result<MapBinding> {
        Ok(MapBinding {
            needs: vec![],
            output: Arc::new(Schema::empty()),
            keep: Keep::All,
            deterministic: true,
        })
    }

    fn open(_config: &Config, _input: &SchemaRef) -> Result<Self> {
        Ok(Self)
    }

    fn apply(&mut self, batch: RecordBatch) -> Result<Mapped> {
        let rows: Vec<u32> = (0..batch.num_rows() as u32)
            .flat_map(|row| [row, row])
            .collect();
        chosen(rows.len(), Selection::Indices(rows))
    }
}

/// One more.
pub(crate) struct AddOne;

impl Map for AddOne {
    const NAME: &'static str = "add-one";
    const DOCS: &'static str = "n plus one.";

    fn bind(_config: &Config, input: &Schema) -> Result<MapBinding> {
        let n = match input.fields().len() {
            1 => 0,
            _ => tenon_sdk::column(input, "n")?,
        };
        if *input.field(n).data_type() != DataType::Int64 {
            return Err(Error::Unsupported(format!(
                "n is {}, not an int64",
                input.field(n).data_type()
            )));
        }
        let output = Schema::new(vec![Field::new("add-one", DataType::Int64, true)]);
        Ok(MapBinding {
            needs: vec![n],
            output: Arc::new(output),
            keep: Keep::All,
            deterministic: true,
        })
    }

    fn open(_config: &Config, _input: &SchemaRef) -> Result<Self> {
        Ok(Self)
    }

    fn apply(&mut self, batch: RecordBatch) -> Result<Mapped> {
        let n = batch.column(0).as_primitive::<Int64Type>();
        let more: Int64Array = n.unary(|n| n.wrapping_add(1));
        let schema = Schema::new(vec![Field::new("add-one", DataType::Int64, true)]);
        Ok(RecordBatch::try_new(Arc::new(schema), vec![Arc::new(more)])?.into())
    }
}

/// Fails at a row.
pub(crate) struct FailAt;

impl Map for FailAt {
    const NAME: &'static str = "fail-at";
    const DOCS: &'static str = "Fails at the first row whose n is 3.";

    fn bind(_config: &Config, input: &Schema) -> Result<MapBinding> {
        only_n(input, Schema::empty())
    }

    fn open(_config: &Config, _input: &SchemaRef) -> Result<Self> {
        Ok(Self)
    }

    fn apply(&mut self, batch: RecordBatch) -> Result<Mapped> {
        let n = batch.column(0).as_primitive::<Int64Type>();
        match n.iter().position(|n| n == Some(3)) {
            Some(row) => Err(Error::user("bad-row", "three is not allowed").at_row(row)),
            None => chosen(n.len(), Selection::Mask(BooleanBuffer::new_set(n.len()))),
        }
    }
}
