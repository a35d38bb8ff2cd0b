//! `mask`: hides personal data in text columns, in place, so that texts keep their length and their shape.
//!
//! ```text
//! write to ada.lovelace@example.com  ->  write to ************@example.com    the domain stays
//! 4111 1111 1111 1111                ->  **** **** **** 1111                  the last four stay
//! DE89 3704 0044 0532 0130 00        ->  DE** **** **** **** **30 00
//! +44 20 7946 0958                   ->  +** ** **** 0958
//! ```
//!
//! Card numbers must have a right Luhn digit and IBANs a right checksum; a phone number begins with `+`, `0` or
//! `(`, or is grouped as 555-123-4567. `find.rs` has the rules, this file the columns.

mod find;

use std::sync::Arc;

use tenon_sdk::arrow_array::{GenericStringArray, OffsetSizeTrait};
use tenon_sdk::arrow_buffer::Buffer;
use tenon_sdk::prelude::*;
use tenon_sdk::serde::Deserialize;

use find::{Kinds, mask_text};

/// What a job may say.
#[derive(Deserialize)]
#[serde(crate = "tenon_sdk::serde", deny_unknown_fields)]
struct Settings {
    /// Default: every text column.
    columns: Option<Vec<String>>,
    /// Default: all of them.
    kinds: Option<Vec<String>>,
}

/// The columns in the order of the input, and what is looked for.
struct Mask(Kinds);

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8)
}

fn chosen(columns: Option<Vec<String>>, input: &Schema) -> Result<Vec<usize>> {
    let Some(names) = columns else {
        let fields = input.fields().iter().enumerate();
        let texts = fields.filter(|(_, field)| is_text(field.data_type()));
        return Ok(texts.map(|(position, _)| position).collect());
    };
    let mut positions = Vec::with_capacity(names.len());
    for name in names {
        let position = tenon_sdk::column(input, &name)?;
        let data_type = input.field(position).data_type();
        if !is_text(data_type) {
            return Err(Error::Unsupported(format!(
                "column {name:?} is {data_type}, and only text can be masked"
            )));
        }
        positions.push(position);
    }
    Ok(positions)
}

fn masked<O: OffsetSizeTrait>(column: &GenericStringArray<O>, kinds: Kinds) -> Result<ArrayRef> {
    let mut bytes = column.value_data().to_vec();
    for ends in column.value_offsets().windows(2) {
        mask_text(&mut bytes[ends[0].as_usize()..ends[1].as_usize()], kinds);
    }
    let (offsets, nulls) = (column.offsets().clone(), column.nulls().cloned());
    let masked = GenericStringArray::<O>::try_new(offsets, Buffer::from_vec(bytes), nulls)?;
    Ok(Arc::new(masked))
}

#[tenon_sdk::plugin]
impl Map for Mask {
    const NAME: &'static str = "mask";
    const DOCS: &'static str =
        "Masks e-mail addresses, phone, card and account numbers in text; the shape stays.";

    fn bind(config: &Config, input: &Schema) -> Result<MapBinding> {
        let settings: Settings = config.parse()?;
        Kinds::parse(settings.kinds.as_deref())?;
        let needs = chosen(settings.columns, input)?;
        Ok(MapBinding {
            output: Arc::new(input.project(&needs)?),
            needs,
            keep: Keep::All,
            deterministic: true,
        })
    }

    fn open(config: &Config, _input: &SchemaRef) -> Result<Self> {
        let settings: Settings = config.parse()?;
        Ok(Self(Kinds::parse(settings.kinds.as_deref())?))
    }

    fn apply(&mut self, batch: RecordBatch) -> Result<Mapped> {
        let columns = batch
            .columns()
            .iter()
            .map(|column| match column.data_type() {
                DataType::LargeUtf8 => masked(column.as_string::<i64>(), self.0),
                _ => masked(column.as_string::<i32>(), self.0),
            });
        let columns = columns.collect::<Result<_>>()?;
        let options = tenon_sdk::arrow_array::RecordBatchOptions::new()
            .with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(batch.schema(), columns, &options)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::from_json(text).unwrap()
    }

    fn people() -> RecordBatch {
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("mail", DataType::Utf8, true),
            Field::new("note", DataType::Utf8, true),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![1, 2])),
            Arc::new(StringArray::from(vec![Some("ada@example.com"), None])),
            Arc::new(StringArray::from(vec![
                "ada@example.com",
                "+44 20 7946 0958",
            ])),
        ];
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    }

    fn run(settings: &str) -> Result<RecordBatch> {
        let (config, people) = (config(settings), people());
        let binding = Mask::bind(&config, &people.schema())?;
        let needed = people.project(&binding.needs)?;
        let mut mask = Mask::open(&config, &needed.schema())?;
        Ok(mask.apply(needed)?.columns)
    }

    #[test]
    fn text_columns_are_masked_and_missing_values_stay() {
        let masked = run("{}").unwrap();
        assert_eq!(masked.num_columns(), 2);
        let mail = masked.column(0).as_string::<i32>();
        assert_eq!(
            mail,
            &StringArray::from(vec![Some("***@example.com"), None])
        );
        assert_eq!(
            masked.column(1).as_string::<i32>().value(1),
            "+** ** **** 0958"
        );
    }

    #[test]
    fn settings_choose_columns_and_kinds() {
        let masked = run(r#"{"columns": ["note"], "kinds": ["phone"]}"#).unwrap();
        let note = masked.column(0).as_string::<i32>();
        assert_eq!(
            (masked.num_columns(), note.value(0)),
            (1, "ada@example.com")
        );
        for (settings, said) in [
            (
                r#"{"columns": ["id"]}"#,
                "column \"id\" is Int64, and only text can be masked",
            ),
            (
                r#"{"columns": ["nmae"]}"#,
                "there is no column \"nmae\"; the input has id, mail, note",
            ),
            (
                r#"{"kinds": ["iban", "ssn"]}"#,
                "kinds: \"ssn\" is none of email, phone, card, iban",
            ),
            (r#"{"column": []}"#, "unknown field `column`"),
        ] {
            let error = run(settings).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_slice_is_masked_like_the_whole() {
        let slice = people().column(2).slice(1, 1);
        let masked = masked(slice.as_string::<i32>(), Kinds::ALL).unwrap();
        assert_eq!(masked.as_string::<i32>().value(0), "+** ** **** 0958");
        assert_eq!(masked.len(), 1);
    }
}
