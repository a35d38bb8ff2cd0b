//! Random schemas and columns of every type that a plugin can take, from a seed.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, RecordBatch, RecordBatchOptions, make_array};
use arrow::buffer::Buffer;
use arrow::datatypes::{
    DataType, Field, FieldRef, Fields, IntervalUnit, Schema, TimeUnit, UnionFields, UnionMode,
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// Types without children.
#[must_use]
pub fn leaves() -> Vec<DataType> {
    use DataType as T;
    let mut leaves = vec![
        T::Null,
        T::Boolean,
        T::Int8,
        T::Int16,
        T::Int32,
        T::Int64,
        T::UInt8,
        T::UInt16,
        T::UInt32,
        T::UInt64,
        T::Float16,
        T::Float32,
        T::Float64,
        T::Decimal32(9, 2),
        T::Decimal64(18, -3),
        T::Decimal128(38, 10),
        T::Decimal256(76, 40),
        T::Date32,
        T::Date64,
        T::Time32(TimeUnit::Second),
        T::Time32(TimeUnit::Millisecond),
        T::Time64(TimeUnit::Microsecond),
        T::Time64(TimeUnit::Nanosecond),
        T::Interval(IntervalUnit::YearMonth),
        T::Interval(IntervalUnit::DayTime),
        T::Interval(IntervalUnit::MonthDayNano),
        T::Binary,
        T::LargeBinary,
        T::BinaryView,
        T::Utf8,
        T::LargeUtf8,
        T::Utf8View,
        T::FixedSizeBinary(5),
        T::FixedSizeBinary(16),
    ];
    for unit in [
        TimeUnit::Second,
        TimeUnit::Millisecond,
        TimeUnit::Microsecond,
        TimeUnit::Nanosecond,
    ] {
        leaves.push(T::Duration(unit));
        leaves.push(T::Timestamp(unit, None));
        leaves.push(T::Timestamp(unit, Some("+02:00".into())));
    }
    leaves
}

/// Random columns.
#[derive(Debug)]
pub struct Random(StdRng);

impl Random {
    /// The same for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// A batch of up to 5 columns and 40 rows: slices, empty ones and some without columns among them.
    ///
    /// # Panics
    /// Arrow refuses what was made of a defect here.
    #[must_use]
    pub fn batch(&mut self) -> RecordBatch {
        let rows = *[0, 1, 7, 8, 9, 40].choose(&mut self.0).unwrap_or(&1);
        let fields: Vec<FieldRef> = (0..self.0.random_range(0..=5))
            .map(|i| self.field(&format!("c{i}"), 3))
            .collect();
        let columns = fields.iter().map(|f| self.slice(f, rows)).collect();
        let metadata = HashMap::from([("origin".to_owned(), "a seed".to_owned())]);
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(schema, columns, &options).expect("columns of the schema")
    }

    fn field(&mut self, name: &str, depth: usize) -> FieldRef {
        let data_type = self.data_type(depth);
        // Null columns are nullable by nature; unions and runs keep their nulls in their children.
        let nullable = match data_type {
            DataType::Null | DataType::Union(_, _) | DataType::RunEndEncoded(_, _) => true,
            _ => self.0.random_bool(0.8),
        };
        let mut field = Field::new(name, data_type, nullable);
        if self.0.random_bool(0.3) {
            field = field.with_metadata([("unit".to_owned(), "mm".to_owned())].into());
        }
        Arc::new(field)
    }

    fn leaf(&mut self) -> DataType {
        leaves()
            .choose(&mut self.0)
            .cloned()
            .unwrap_or(DataType::Null)
    }

    /// A type with at most `depth` levels.
    pub fn data_type(&mut self, depth: usize) -> DataType {
        use DataType as T;
        if depth <= 1 || self.0.random_bool(0.4) {
            return self.leaf();
        }
        let item = |random: &mut Self| random.field("item", depth - 1);
        match self.0.random_range(0..11) {
            0 => T::List(item(self)),
            1 => T::LargeList(item(self)),
            2 => T::ListView(item(self)),
            3 => T::LargeListView(item(self)),
            4 => {
                let size = self.0.random_range(0..4);
                T::FixedSizeList(item(self), size)
            }
            5 => {
                let count = self.0.random_range(1..4);
                T::Struct(
                    (0..count)
                        .map(|i| self.field(&format!("f{i}"), depth - 1))
                        .collect(),
                )
            }
            6 => {
                let value = self.field("value", depth - 1);
                let key = Arc::new(Field::new("key", T::Utf8, false));
                let entries = T::Struct(Fields::from(vec![key, value]));
                let sorted = self.0.random_bool(0.5);
                T::Map(Arc::new(Field::new("entries", entries, false)), sorted)
            }
            7 | 8 => {
                let mode = match self.0.random_bool(0.5) {
                    true => UnionMode::Dense,
                    false => UnionMode::Sparse,
                };
                let children: Vec<FieldRef> = (0..3)
                    .map(|i| self.field(&format!("u{i}"), depth - 1))
                    .collect();
                T::Union(
                    UnionFields::try_new([4, 0, 9], children).expect("a union"),
                    mode,
                )
            }
            9 => {
                let ends = [T::Int16, T::Int32, T::Int64];
                let ends = ends.choose(&mut self.0).cloned().unwrap_or(T::Int32);
                let ends = Arc::new(Field::new("run_ends", ends, false));
                T::RunEndEncoded(ends, Arc::new(Field::new("values", self.leaf(), true)))
            }
            _ => {
                let keys = [T::Int8, T::UInt16, T::Int32, T::UInt64];
                let keys = keys.choose(&mut self.0).cloned().unwrap_or(T::Int32);
                let values = Some(self.leaf()).filter(|values| *values != T::Null);
                T::Dictionary(Box::new(keys), Box::new(values.unwrap_or(T::Utf8)))
            }
        }
    }

    /// A column that is a slice of a longer one, mostly.
    fn slice(&mut self, field: &Field, rows: usize) -> ArrayRef {
        let (before, after) = (self.0.random_range(0..5), self.0.random_range(0..5));
        let array = self.array(
            field.data_type(),
            field.is_nullable(),
            before + rows + after,
        );
        array.slice(before, rows)
    }

    /// A column of `rows` values.
    ///
    /// # Panics
    /// Arrow refuses what was made of a defect here.
    pub fn array(&mut self, data_type: &DataType, nullable: bool, rows: usize) -> ArrayRef {
        let nulls = match data_type {
            DataType::Null | DataType::Union(_, _) | DataType::RunEndEncoded(_, _) => None,
            _ if nullable && self.0.random_bool(0.7) => Some(self.bits(rows)),
            _ => None,
        };
        let builder = ArrayData::builder(data_type.clone())
            .len(rows)
            .null_bit_buffer(nulls)
            .align_buffers(true);
        let builder = match data_type {
            DataType::Null => builder,
            DataType::Boolean => builder.add_buffer(self.bits(rows)),
            DataType::Utf8 | DataType::Binary => {
                let (offsets, bytes) = self.strings(rows);
                let offsets: Vec<i32> = offsets.iter().map(|o| *o as i32).collect();
                builder
                    .add_buffer(Buffer::from_vec(offsets))
                    .add_buffer(bytes)
            }
            DataType::LargeUtf8 | DataType::LargeBinary => {
                let (offsets, bytes) = self.strings(rows);
                builder
                    .add_buffer(Buffer::from_vec(offsets))
                    .add_buffer(bytes)
            }
            DataType::Utf8View | DataType::BinaryView => {
                let plain = match data_type {
                    DataType::Utf8View => DataType::Utf8,
                    _ => DataType::Binary,
                };
                let plain = self.array(&plain, nullable, rows);
                return arrow::compute::cast(&plain, data_type).expect("a view");
            }
            DataType::List(f) | DataType::Map(f, _) => {
                let (offsets, total) = self.offsets(rows);
                let offsets: Vec<i32> = offsets.iter().map(|o| *o as i32).collect();
                let values = self.array(f.data_type(), f.is_nullable(), total);
                builder
                    .add_buffer(Buffer::from_vec(offsets))
                    .add_child_data(values.to_data())
            }
            DataType::LargeList(f) => {
                let (offsets, total) = self.offsets(rows);
                let values = self.array(f.data_type(), f.is_nullable(), total);
                builder
                    .add_buffer(Buffer::from_vec(offsets))
                    .add_child_data(values.to_data())
            }
            DataType::ListView(f) | DataType::LargeListView(f) => {
                let values = self.array(f.data_type(), f.is_nullable(), 20);
                let views = (0..rows).map(|_| {
                    let offset = self.0.random_range(0..20i64);
                    (offset, self.0.random_range(0..=(20 - offset).min(4)))
                });
                let (offsets, sizes): (Vec<i64>, Vec<i64>) = views.unzip();
                let words = |numbers: Vec<i64>| match data_type {
                    DataType::ListView(_) => {
                        Buffer::from_vec(numbers.iter().map(|n| *n as i32).collect::<Vec<_>>())
                    }
                    _ => Buffer::from_vec(numbers),
                };
                builder
                    .add_buffer(words(offsets))
                    .add_buffer(words(sizes))
                    .add_child_data(values.to_data())
            }
            DataType::FixedSizeList(f, size) => {
                let total = rows * usize::try_from(*size).expect("a size");
                let values = self.array(f.data_type(), f.is_nullable(), total);
                builder.add_child_data(values.to_data())
            }
            DataType::Struct(fields) => {
                let children = fields
                    .iter()
                    .map(|f| self.array(f.data_type(), f.is_nullable(), rows).to_data());
                builder.child_data(children.collect())
            }
            DataType::Union(fields, mode) => return self.union(fields, *mode, rows, data_type),
            DataType::RunEndEncoded(ends, values) => {
                let mut end = 0;
                let mut all = Vec::new();
                while end < rows {
                    end += self.0.random_range(1..4);
                    all.push(end.min(rows) as i64);
                }
                let number = |n: &i64| match ends.data_type() {
                    DataType::Int16 => (*n as i16).to_le_bytes().to_vec(),
                    DataType::Int32 => (*n as i32).to_le_bytes().to_vec(),
                    _ => n.to_le_bytes().to_vec(),
                };
                let bytes: Vec<u8> = all.iter().flat_map(number).collect();
                let run_ends = ArrayData::builder(ends.data_type().clone())
                    .len(all.len())
                    .add_buffer(Buffer::from_vec(bytes))
                    .align_buffers(true)
                    .build()
                    .expect("run ends");
                let values = self.array(values.data_type(), true, all.len());
                builder.child_data(vec![run_ends, values.to_data()])
            }
            DataType::Dictionary(keys, values) => {
                // What a field says of its values holds for those of its dictionary.
                let values = self.array(values, nullable, 6);
                let width = keys.primitive_width().unwrap_or(1);
                let mut bytes = vec![0u8; rows * width];
                for row in 0..rows {
                    bytes[row * width] = self.0.random_range(0..6);
                }
                builder
                    .add_buffer(Buffer::from_vec(bytes))
                    .add_child_data(values.to_data())
            }
            fixed => {
                let width = match fixed {
                    DataType::FixedSizeBinary(n) => usize::try_from(*n).expect("a width"),
                    other => other.primitive_width().expect("a width"),
                };
                let bytes: Vec<u8> = (0..rows * width).map(|_| self.0.random()).collect();
                builder.add_buffer(Buffer::from_vec(bytes))
            }
        };
        make_array(builder.build().expect("a valid column"))
    }

    fn union(
        &mut self,
        fields: &UnionFields,
        mode: UnionMode,
        rows: usize,
        data_type: &DataType,
    ) -> ArrayRef {
        let ids: Vec<i8> = fields.iter().map(|(id, _)| id).collect();
        let type_ids: Vec<i8> = (0..rows)
            .map(|_| ids.choose(&mut self.0).copied().unwrap_or(0))
            .collect();
        let mut builder = ArrayData::builder(data_type.clone())
            .len(rows)
            .add_buffer(Buffer::from_vec(type_ids));
        let length = match mode {
            UnionMode::Sparse => rows,
            UnionMode::Dense => 12,
        };
        if mode == UnionMode::Dense {
            let offsets: Vec<i32> = (0..rows).map(|_| self.0.random_range(0..12)).collect();
            builder = builder.add_buffer(Buffer::from_vec(offsets));
        }
        for (_, field) in fields.iter() {
            let child = self.array(field.data_type(), field.is_nullable(), length);
            builder = builder.add_child_data(child.to_data());
        }
        make_array(builder.build().expect("a union"))
    }

    fn bits(&mut self, length: usize) -> Buffer {
        let bytes: Vec<u8> = (0..length.div_ceil(8)).map(|_| self.0.random()).collect();
        Buffer::from_vec(bytes)
    }

    fn offsets(&mut self, rows: usize) -> (Vec<i64>, usize) {
        let mut offsets = vec![0];
        for row in 0..rows {
            offsets.push(offsets[row] + self.0.random_range(0..3));
        }
        let total = usize::try_from(offsets[rows]).expect("a length");
        (offsets, total)
    }

    fn strings(&mut self, rows: usize) -> (Vec<i64>, Buffer) {
        let words = ["", "a", "ä", "long enough to be no inline view", "日本"];
        let (mut offsets, mut bytes) = (vec![0], Vec::new());
        for _ in 0..rows {
            let word = words.choose(&mut self.0).copied().unwrap_or("");
            bytes.extend_from_slice(word.as_bytes());
            offsets.push(bytes.len() as i64);
        }
        (offsets, Buffer::from_vec(bytes))
    }
}
