//! The committed shapes are those of the model, and the catalog's types have the members that the model says.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tenon_catalog as catalog;

use super::generate;

const REQUESTS: &str = include_str!("../../model/glue.json");
const ANSWERS: &str = include_str!("../../model/answers.json");

#[test]
fn the_committed_shapes_are_those_of_the_model() {
    let committed = [
        ("requests.rs", include_str!("requests.rs")),
        ("answers.rs", include_str!("answers.rs")),
        ("parts.rs", include_str!("parts.rs")),
    ];
    let made = generate::files(REQUESTS, ANSWERS).unwrap();
    for ((name, text), (file, committed)) in made.into_iter().zip(committed) {
        assert_eq!(name, file);
        assert!(
            text == committed,
            "{name}: run the example glue_model again"
        );
    }
}

macro_rules! stored {
    ($($name:ident)*) => {
        [$((stringify!($name), round_trip::<catalog::$name> as fn(Value) -> Value)),*]
    };
}

/// Reads a type and writes it again.
type RoundTrip = fn(Value) -> Value;

fn round_trip<T: DeserializeOwned + Serialize>(sample: Value) -> Value {
    serde_json::to_value(serde_json::from_value::<T>(sample).unwrap()).unwrap()
}

/// The catalog's own types: what they do not know would be lost without a word.
#[test]
fn the_catalogs_types_lose_no_member_of_the_model() {
    let stored = stored!(
        Column
        ColumnStatistics
        Connection
        ConnectionPasswordEncryption
        DatabaseIdentifier
        DatabaseInput
        EncryptionAtRest
        FederatedDatabase
        FederatedTable
        Order
        PartitionIndex
        PartitionIndexDescriptor
        PartitionInput
        PartitionValueList
        PrincipalPermissions
        ResourceUri
        SchemaReference
        SecurityConfiguration
        SerDeInfo
        SkewedInfo
        TableIdentifier
        TableInput
        UserDefinedFunctionInput
    );
    // Secrets are never written, so neither is what holds them.
    let unwritten = ["ConnectionInput"];
    let mut named: Vec<_> = stored.iter().map(|(name, _)| *name).collect();
    named.extend(unwritten);
    named.sort_unstable();
    assert_eq!(named, generate::CATALOG);
    let [requests, answers] =
        [REQUESTS, ANSWERS].map(|text| serde_json::from_str::<Value>(text).unwrap());
    for (name, round_trip) in stored {
        let model = [&requests, &answers].into_iter();
        let models: Vec<_> = model
            .filter(|model| model["shapes"].get(name).is_some())
            .collect();
        assert!(!models.is_empty(), "{name}");
        for model in models {
            let mut sample = sample(model, name);
            if name == "Connection" {
                // Of a status that no connection here has.
                sample.as_object_mut().unwrap().remove("StatusReason");
            }
            assert_eq!(round_trip(sample.clone()), sample, "{name}");
        }
    }
}

/// Members of answers that only AWS can fill are not there.
#[test]
fn what_is_said_about_a_job_is_kept() {
    let model = serde_json::from_str::<Value>(REQUESTS).unwrap();
    let round_trips: [(&str, RoundTrip); 6] = [
        (
            "ExecutionProperty",
            round_trip::<tenon_jobs::ExecutionProperty>,
        ),
        ("JobCommand", round_trip::<tenon_jobs::JobCommand>),
        ("JobUpdate", round_trip::<tenon_jobs::JobDefinition>),
        ("GlueTable", round_trip::<tenon_jobs::InputTable>),
        ("SchemaColumn", round_trip::<tenon_jobs::SchemaColumn>),
        (
            "TransformParameters",
            round_trip::<tenon_jobs::TransformParameters>,
        ),
    ];
    for (name, round_trip) in round_trips {
        let sample = sample(&model, name);
        assert_eq!(round_trip(sample.clone()), sample, "{name}");
    }
}

/// A value of a shape that has every member.
fn sample(model: &Value, name: &str) -> Value {
    let shape = &model["shapes"][name];
    let of = || sample(model, shape["of"].as_str().unwrap());
    match shape["type"].as_str().unwrap() {
        // Kept as it comes, and kinds of nodes hold each other.
        "structure" if name == "CodeGenConfigurationNode" => json!({"kind": {"Name": "n"}}),
        "structure" => {
            let members = shape["members"].as_object().into_iter().flatten();
            let members =
                members.map(|(member, of)| (member.clone(), sample(model, of.as_str().unwrap())));
            Value::Object(members.collect::<Map<_, _>>())
        }
        "list" => json!([of()]),
        "map" => json!({"key": of()}),
        "boolean" => json!(true),
        "integer" | "long" | "timestamp" => json!(1),
        "double" | "float" => json!(1.5),
        "blob" => json!("AQ=="),
        _ => shape["enum"].get(0).cloned().unwrap_or(json!("text")),
    }
}
