//! Against moto's server of S3, from PyPI, on loopback; without Python the tests say that they are skipped.

use tenon_connect::{
    Error, Format, ParquetOptions, Place, RemoteOptions, Target, WriteMode, discard_staged,
};

use super::moto::Moto;
use super::{connection, csv, error_of, json, options, place, query, rows, stage};

fn parquet() -> Format {
    Format::Parquet(ParquetOptions {
        row_group_rows: 10_000,
        ..ParquetOptions::default()
    })
}

const SUM: &str = "select count(*) as rows, sum(n) as sum, max(name) as last from t";

#[tokio::test]
async fn every_format_is_written_and_read_back() {
    let Some(moto) = Moto::start() else { return };
    let place = place(&moto.url);
    for (format, suffix) in [(csv(), "csv"), (json(), "jsonl"), (parquet(), "parquet")] {
        let target = format!("s3://lake/{suffix}/");
        let partitions = vec![rows(0, 60_000), rows(60_000, 100_000)];
        let staged = stage(
            &place,
            &target,
            &format,
            WriteMode::Replace,
            "one",
            partitions,
        );
        let staged = staged.await.unwrap();
        assert_eq!(staged.rows(), 100_000);
        assert!(
            !moto
                .names()
                .contains(&format!("{suffix}/part-00000-one.{suffix}"))
        );
        let committed = staged.commit().await.unwrap();
        assert_eq!(committed.files.len(), 2);
        let read = query(&place, &target, &format, SUM).await.unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(read, @r"
            +--------+------------+------------+
            | rows   | sum        | last       |
            +--------+------------+------------+
            | 100000 | 4999950000 | name-99999 |
            +--------+------------+------------+
            ");
        }
        // A second run takes the place of the first, and of nothing else.
        let staged = stage(
            &place,
            &target,
            &format,
            WriteMode::Replace,
            "two",
            vec![rows(0, 3)],
        );
        let committed = staged.await.unwrap().commit().await.unwrap();
        assert_eq!(committed.replaced, 2);
        let names: Vec<String> = moto
            .names()
            .into_iter()
            .filter(|n| n.starts_with(suffix))
            .collect();
        assert_eq!(
            names,
            [
                format!("{suffix}/_tenon_files"),
                format!("{suffix}/part-00000-two.{suffix}")
            ]
        );
    }
    // Of a Parquet file, what a query does not need is not fetched.
    let staged = stage(
        &place,
        "s3://lake/wide.parquet",
        &parquet(),
        WriteMode::Replace,
        "r",
        vec![rows(0, 2_000_000)],
    );
    let size = staged.await.unwrap().commit().await.unwrap().bytes;
    let run = place.for_run();
    query(
        &run,
        "s3://lake/wide.parquet",
        &parquet(),
        "select max(name) from t where n < 5",
    )
    .await
    .unwrap();
    let traffic = run.traffic();
    assert!(traffic.received_bytes * 3 < size, "{traffic:?} of {size}");
}

#[tokio::test]
async fn what_is_not_committed_leaves_nothing() {
    let Some(moto) = Moto::start() else { return };
    let place = place(&moto.url);
    let begin = |run: &'static str| {
        stage(
            &place,
            "s3://lake/out/",
            &csv(),
            WriteMode::Replace,
            run,
            vec![rows(0, 400_000), rows(0, 3)],
        )
    };
    let staged = begin("a").await.unwrap();
    assert_eq!(
        moto.names(),
        ["open out/part-00000-a.csv", "open out/part-00001-a.csv"]
    );
    staged.abort().await.unwrap();
    assert!(moto.names().is_empty());
    // Dropped: the runtime takes it back in its own time.
    drop(begin("lake").await.unwrap());
    while !moto.names().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // A stream that fails after a part was sent.
    let schema = rows(0, 1).schema();
    let failure = datafusion::error::DataFusionError::Execution("no more".into());
    let items = vec![Ok(rows(0, 400_000)), Err(failure)];
    let target = Target::Directory("s3://lake/out/".into());
    let sink =
        tenon_connect::FileSink::open(&place, &target, &csv(), WriteMode::Replace, "c").unwrap();
    let streams = vec![
        crate::stream_of(schema.clone(), items),
        crate::stream(vec![rows(0, 3)]),
    ];
    let error = sink.write(schema, streams).await.unwrap_err();
    assert!(error.to_string().contains("no more"), "{error}");
    assert!(moto.names().is_empty());
}

#[tokio::test]
async fn what_a_killed_run_left_is_taken_back() {
    let Some(moto) = Moto::start() else { return };
    // moto says of every upload that it is years old, so age is switched off where it must not count.
    let young = place(&moto.url).with_remote_options(RemoteOptions {
        abandoned_after: std::time::Duration::MAX,
        ..options()
    });
    let target = Target::Directory("s3://lake/out/".into());
    for key in [
        "out/part-00000-dead.csv",
        "out/part-00000-live.csv",
        "out/notes.csv",
        "out/deep/part-00000-dead.csv",
    ] {
        moto.inspect(&["begin", "lake", key]);
    }
    assert_eq!(discard_staged(&young, &target, "dead").await.unwrap(), 1);
    let others = [
        "open out/deep/part-00000-dead.csv",
        "open out/notes.csv",
        "open out/part-00000-live.csv",
    ];
    assert_eq!(moto.names(), others);
    let staged = stage(
        &young,
        "s3://lake/out/",
        &csv(),
        WriteMode::Replace,
        "new",
        vec![rows(0, 3)],
    );
    staged.await.unwrap().commit().await.unwrap();
    assert!(
        moto.names()
            .contains(&"open out/part-00000-live.csv".to_owned())
    );
    let staged = stage(
        &place(&moto.url),
        "s3://lake/out/",
        &csv(),
        WriteMode::Replace,
        "newer",
        vec![rows(0, 3)],
    );
    staged.await.unwrap().commit().await.unwrap();
    assert_eq!(
        moto.names(),
        [
            "out/_tenon_files",
            "out/part-00000-newer.csv",
            "open out/deep/part-00000-dead.csv",
            "open out/notes.csv"
        ]
    );
}

#[tokio::test]
async fn folders_globs_and_hidden_names_are_as_on_a_disk() {
    let Some(moto) = Moto::start() else { return };
    let place = place(&moto.url);
    for key in [
        "in/a.csv",
        "in/b.csv",
        "in/deep/c.csv",
        "in/_hidden.csv",
        "in/.x.csv",
        "in/_deep/d.csv",
        "in/year=2024/e.csv",
        "a b/%41,ü.csv",
    ] {
        moto.put(key, "n,name\n1,x\n");
    }
    moto.put("in/deep/", "");
    moto.put("own/data.csv", "n,name\n1,x\n");
    let count = |path: &'static str| {
        let place = place.clone();
        async move {
            let table = query(&place, path, &csv(), "select count(*) as n from t").await?;
            Ok::<_, String>(
                table
                    .lines()
                    .nth(3)
                    .unwrap_or_default()
                    .trim_matches(['|', ' '])
                    .to_owned(),
            )
        }
    };
    assert_eq!(count("s3://lake/in/a.csv").await.unwrap(), "1");
    assert_eq!(count("s3a://lake/in/*.csv").await.unwrap(), "2");
    assert_eq!(count("s3://lake/in/deep").await.unwrap(), "1");
    assert_eq!(count("s3://lake/in/**/*.csv").await.unwrap(), "4");
    assert_eq!(count("s3://lake/a b/%41,ü.csv").await.unwrap(), "1");
    for (path, said) in [
        (
            "s3://lake/in/z.csv",
            "s3://lake/in/z.csv: no such object, and no folder with data files; names that begin with `.` or `_` do not count",
        ),
        (
            "s3://lake/in/*.json",
            "s3://lake/in/*.json: no object matches this glob; use ** to look into folders",
        ),
        (
            "s3://lake/in//a.csv",
            "s3://lake/in//a.csv: a key has no empty, `.` or `..` part between slashes; correct the path",
        ),
    ] {
        assert_eq!(count(path).await.unwrap_err(), said);
    }
    // Others' files are not replaced.
    let staged = stage(
        &place,
        "s3://lake/own/",
        &csv(),
        WriteMode::Replace,
        "r",
        vec![rows(0, 3)],
    );
    insta::assert_snapshot!(staged.await.unwrap_err(), @"s3://lake/own: holds 1 entries that were not written here (first: data.csv); choose an empty folder, or append");
    let staged = stage(
        &place,
        "s3://lake/own/",
        &csv(),
        WriteMode::Append,
        "r",
        vec![rows(0, 3)],
    );
    staged.await.unwrap().commit().await.unwrap();
    assert_eq!(count("s3://lake/own/").await.unwrap(), "4");
    let staged = stage(
        &place,
        "s3://lake/own/one.csv",
        &csv(),
        WriteMode::Replace,
        "r",
        vec![rows(0, 3)],
    );
    staged.await.unwrap().commit().await.unwrap();
    assert_eq!(
        moto.inspect(&["get", "lake", "own/one.csv"]),
        "n,name\n0,name-0\n1,name-1\n2,name-2\n"
    );
}

#[tokio::test]
async fn a_bucket_that_is_not_there_and_keys_that_are_wrong_say_so() {
    let Some(moto) = Moto::start() else { return };
    let error = error_of(&place(&moto.url), "s3://nobody/", &csv()).await;
    insta::assert_snapshot!(error, @"s3://nobody: NoSuchBucket: The specified bucket does not exist");
    let error = error_of(&Place::ambient(), "s3://lake/x.csv", &csv()).await;
    insta::assert_snapshot!(error, @"s3://lake/x.csv: no keys for it: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true for a public bucket, or use a connection with ACCESS_KEY_ID and SECRET_ACCESS_KEY, or ANONYMOUS");
    assert!(matches!(error, Error::Denied(_)));
    // From here on moto looks at keys, and knows none.
    let mut command = std::process::Command::new(super::moto::python().unwrap());
    let reset = "import sys, urllib.request as u; u.urlopen(u.Request(sys.argv[1] + '/moto-api/reset-auth', data=b'0', headers={'Content-Type': 'text/plain'}))";
    assert!(
        command
            .args(["-c", reset, &moto.url])
            .status()
            .unwrap()
            .success()
    );
    let error = error_of(&place(&moto.url), "s3://lake/in/", &csv()).await;
    insta::assert_snapshot!(error, @r#"cannot list s3://lake/in/: InvalidAccessKeyId: The AWS Access Key Id you provided does not exist in our records.; the keys are those of connection "lake""#);
    assert!(matches!(error, Error::Denied(_)));
    // The bucket in the host's name: nobody has that name here, which shows that it is asked for.
    let virtual_hosted = Place::ambient()
        .with_connections(connection(
            "s3://",
            "http://localhost.invalid",
            &[("PATH_STYLE", "false")],
        ))
        .with_remote_options(RemoteOptions {
            retries: 0,
            ..options()
        });
    let error = error_of(&virtual_hosted, "s3://lake/x.csv", &csv()).await;
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
}
