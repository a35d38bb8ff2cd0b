//! What our writers write, our readers read back equal: random batches, all types that a writer takes.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use proptest::prelude::*;
use tenon_connect::{
    ArrowCompression, ArrowOptions, AvroCompression, AvroOptions, Format, OrcCompression,
    OrcOptions, ParquetCompression, ParquetKey, ParquetKeys, ParquetOptions, SortColumn,
};

use crate::random::{Kinds, random_batch};
use crate::values::values;
use crate::{Folder, read_batches};

fn read_back(format: &Format, batches: &[RecordBatch]) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let folder = Folder::new();
        let name = format!("t.{}", suffix(format));
        let staged = folder
            .stage(&name, format, batches.to_vec())
            .await
            .map_err(|e| e.to_string())?;
        staged.commit().await.map_err(|e| e.to_string())?;
        let (schema, read) = read_batches(&folder.path(&name), format).await?;
        let read = concat_batches(&schema, &read).unwrap();
        let written = concat_batches(&batches[0].schema(), batches).unwrap();
        if read.num_rows() != written.num_rows() {
            return Err(format!(
                "{} rows of {}",
                read.num_rows(),
                written.num_rows()
            ));
        }
        for (index, field) in written.schema().fields().iter().enumerate() {
            let column = values(read.column(index).as_ref());
            let expected = values(written.column(index).as_ref());
            if column != expected {
                let row = (0..column.len()).find(|row| column[*row] != expected[*row]);
                return Err(format!("column {:?} differs at row {row:?}", field.name()));
            }
        }
        Ok(())
    })
}

fn suffix(format: &Format) -> &'static str {
    match format {
        Format::Avro(_) => "avro",
        Format::Orc(_) => "orc",
        Format::Arrow(_) => "arrow",
        _ => "parquet",
    }
}

fn parquet() -> impl Strategy<Value = Format> {
    let compression = prop_oneof![
        Just(ParquetCompression::Zstd),
        Just(ParquetCompression::Snappy),
        Just(ParquetCompression::Gzip),
        Just(ParquetCompression::Brotli),
        Just(ParquetCompression::Lz4),
        Just(ParquetCompression::Uncompressed),
    ];
    (compression, 1..200_usize, any::<bool>(), any::<bool>()).prop_map(
        |(compression, row_group_rows, dictionary, is_encrypted)| {
            let key = ParquetKey::new(*b"0123456789012345").unwrap();
            Format::Parquet(ParquetOptions {
                compression,
                row_group_rows,
                dictionary,
                dictionary_exceptions: vec!["text".into(), "struct.b".into()],
                bloom_filter_columns: vec!["i64".into(), "text".into()],
                keys: is_encrypted.then(|| ParquetKeys::uniform(key)),
                ..ParquetOptions::default()
            })
        },
    )
}

fn avro() -> impl Strategy<Value = Format> {
    prop_oneof![
        Just(AvroCompression::Zstd),
        Just(AvroCompression::Deflate),
        Just(AvroCompression::Snappy),
        Just(AvroCompression::Uncompressed),
    ]
    .prop_map(|compression| {
        Format::Avro(AvroOptions {
            compression,
            ..AvroOptions::default()
        })
    })
}

fn orc() -> impl Strategy<Value = Format> {
    prop_oneof![
        Just(OrcCompression::Zstd),
        Just(OrcCompression::Zlib),
        Just(OrcCompression::Snappy),
        Just(OrcCompression::Uncompressed),
    ]
    .prop_map(|compression| {
        Format::Orc(OrcOptions {
            compression,
            ..OrcOptions::default()
        })
    })
}

fn arrow() -> impl Strategy<Value = Format> {
    prop_oneof![
        Just(ArrowCompression::Zstd),
        Just(ArrowCompression::Lz4),
        Just(ArrowCompression::Uncompressed),
    ]
    .prop_map(|compression| {
        Format::Arrow(ArrowOptions {
            compression,
            ..ArrowOptions::default()
        })
    })
}

fn batches(kinds: Kinds) -> impl Strategy<Value = Vec<RecordBatch>> {
    let batch = (0..300_usize, any::<u64>());
    prop::collection::vec(batch, 1..4).prop_map(move |batches| {
        let batch = |(rows, seed)| random_batch(kinds, rows, seed);
        batches.into_iter().map(batch).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn parquet_comes_back(format in parquet(), batches in batches(Kinds::All)) {
        prop_assert_eq!(read_back(&format, &batches), Ok(()));
    }

    #[test]
    fn avro_comes_back(format in avro(), batches in batches(Kinds::Avro)) {
        prop_assert_eq!(read_back(&format, &batches), Ok(()));
    }

    #[test]
    fn orc_comes_back(format in orc(), batches in batches(Kinds::Orc)) {
        prop_assert_eq!(read_back(&format, &batches), Ok(()));
    }

    #[test]
    fn arrow_comes_back(format in arrow(), batches in batches(Kinds::All)) {
        prop_assert_eq!(read_back(&format, &batches), Ok(()));
    }
}

#[tokio::test]
async fn row_groups_are_sorted_and_say_so() {
    let folder = Folder::new();
    let sort = |name: &str, descending| SortColumn {
        name: name.into(),
        descending,
        nulls_first: false,
    };
    let options = ParquetOptions {
        row_group_rows: 100,
        sort_columns: vec![sort("bool", true), sort("i64", false)],
        ..ParquetOptions::default()
    };
    let format = Format::Parquet(options);
    let batches: Vec<_> = (0..3)
        .map(|seed| random_batch(Kinds::All, 130, seed))
        .collect();
    let staged = folder.stage("t.parquet", &format, batches).await.unwrap();
    staged.commit().await.unwrap();
    let file = std::fs::File::open(folder.path("t.parquet")).unwrap();
    let reader = parquet::file::serialized_reader::SerializedFileReader::new(file).unwrap();
    let metadata = parquet::file::reader::FileReader::metadata(&reader);
    assert_eq!(metadata.num_row_groups(), 4);
    for group in metadata.row_groups() {
        assert_eq!(group.sorting_columns().unwrap().len(), 2);
    }
    let (_, read) = read_batches(&folder.path("t.parquet"), &format)
        .await
        .unwrap();
    let rows: usize = read.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 390);
    let first = concat_batches(&read[0].schema(), &read)
        .unwrap()
        .slice(0, 100);
    let keys = |column: &str| values(first.column_by_name(column).unwrap().as_ref());
    let number = |value: &serde_json::Value| {
        let text = value.as_str().and_then(|text| text.strip_prefix("i:"));
        text.map_or(i64::MAX, |text| text.parse().unwrap())
    };
    let order = |value: &serde_json::Value| match value.as_bool() {
        Some(true) => 0,
        Some(false) => 1,
        None => 2,
    };
    let keys: Vec<_> = keys("bool")
        .iter()
        .zip(&keys("i64"))
        .map(|(a, b)| (order(a), number(b)))
        .collect();
    assert!(keys.is_sorted());
}

#[tokio::test]
async fn options_that_do_not_fit_are_named() {
    let folder = Folder::new();
    let error = async |options: ParquetOptions| {
        let batch = random_batch(Kinds::All, 1, 1);
        let staged = folder
            .stage("t.parquet", &Format::Parquet(options), vec![batch])
            .await;
        staged.map(drop).unwrap_err().to_string()
    };
    let snappy = ParquetOptions {
        compression: ParquetCompression::Snappy,
        compression_level: Some(3),
        ..ParquetOptions::default()
    };
    insta::assert_snapshot!(error(snappy).await, @"parquet compression Snappy has no levels; leave the level out, or use zstd");
    let zstd = ParquetOptions {
        compression_level: Some(40),
        ..ParquetOptions::default()
    };
    insta::assert_snapshot!(error(zstd).await, @"parquet compression level: Parquet error: valid compression range 1..=22 exceeded.");
    let bloom = ParquetOptions {
        bloom_filter_columns: vec!["nowhere".into()],
        ..ParquetOptions::default()
    };
    assert!(
        error(bloom)
            .await
            .starts_with("parquet options name the column \"nowhere\"; the output has bool, ")
    );
    let orc = folder
        .stage(
            "t.orc",
            &Format::Orc(OrcOptions::default()),
            vec![random_batch(Kinds::All, 1, 1)],
        )
        .await;
    insta::assert_snapshot!(orc.map(drop).unwrap_err(), @r#"column "time" is Time64(µs), which is not written as orc; write parquet, or cast it"#);
}
