"""Splink with DuckDB on one of the tables of `tests/benches/people.rs`, in a process of its own.

    match.py MODEL CLUSTERS CANDIDATES FILE [FILE2]

MODEL names one of the models below. CLUSTERS gets id, cluster; CANDIDATES gets id1, id2, probability of every pair
that was scored. Prints one line of JSON: seconds from reading the files to the clusters in memory, of which how many are
training, and the peak of the resident memory of this process in bytes, its results written.

`people_place` is what a careful user of Splink writes for people in households: names apart, each adjusted by how frequent
its value is; all evidence of one place, which relatives share, in one comparison, so that it counts once; about nine
blocking rules. `febrl4` and `fake_1000` follow the demonstrations in Splink's documentation. The others have none there; they are
straightforward models of the same building blocks. Nothing here has seen the truth.
"""

import json
import logging
import resource
import sys
import time
import warnings

import splink.comparison_level_library as cll
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

# Random pairs to learn from what agreement by chance is. Splink's documentation advises more than the default for large tables.
SAMPLED_PAIRS = 1e6
SAMPLED_PAIRS_OF_MANY = 1e7
CLUSTERED_FROM = 0.95


def place():
    """Street, town, postcode and telephone as one comparison: a household agrees in all of them at once."""
    same = "{0}_l = {0}_r".format
    near_street = "jaro_winkler_similarity(street_l, street_r) >= 0.9"
    levels = [
        cll.CustomLevel(
            "coalesce(street_l, phone_l, postcode_l, city_l) IS NULL OR coalesce(street_r, phone_r, postcode_r, city_r) IS NULL",
            "nothing known",
        ).configure(is_null_level=True),
        cll.CustomLevel(f"{same('street')} AND {same('phone')}", "street and telephone"),
        cll.CustomLevel(f"{same('phone')}", "telephone"),
        cll.CustomLevel(f"{same('street')} AND {same('postcode')}", "street and postcode"),
        cll.CustomLevel(f"{near_street} AND ({same('postcode')} OR {same('city')})", "nearly the street, and the town"),
        cll.CustomLevel("levenshtein(phone_l, phone_r) <= 1", "nearly the telephone"),
        cll.CustomLevel(same("postcode"), "postcode"),
        cll.CustomLevel(same("city"), "town"),
        cll.ElseLevel(),
    ]
    return cl.CustomComparison(levels, output_column_name="place")


def frequent(comparison):
    return comparison.configure(term_frequency_adjustments=True)


def people_place():
    return {
        "comparisons": [
            frequent(cl.NameComparison("first_name")),
            frequent(cl.NameComparison("surname")),
            cl.DateOfBirthComparison("dob", input_is_string=True),
            cl.EmailComparison("email"),
            place(),
        ],
        "rules": [
            block_on("first_name", "surname", "substr(dob, 1, 4)"),
            block_on("surname", "dob"),
            block_on("first_name", "dob"),
            block_on("email"),
            block_on("phone", "substr(first_name, 1, 2)"),
            block_on("street", "substr(first_name, 1, 2)"),
            block_on("first_name", "surname", "postcode"),
            block_on("postcode", "dob"),
            block_on("first_name", "postcode", "substr(surname, 1, 3)"),
        ],
        "certain": [block_on("first_name", "surname", "dob"), block_on("email", "first_name")],
        "recall": 0.6,
        "train": [block_on("first_name", "surname"), block_on("dob"), block_on("email")],
        "sampled": SAMPLED_PAIRS_OF_MANY,
    }


def febrl4():
    return {
        "comparisons": [
            frequent(cl.NameComparison("given_name")),
            frequent(cl.NameComparison("surname")),
            cl.DateOfBirthComparison("date_of_birth", input_is_string=True, datetime_format="%Y%m%d"),
            cl.DamerauLevenshteinAtThresholds("soc_sec_id", [1, 2]),
            frequent(cl.ExactMatch("street_number")),
            frequent(cl.DamerauLevenshteinAtThresholds("postcode", [1, 2])),
        ],
        "rules": [
            block_on("given_name", "surname"),
            block_on("soc_sec_id"),
            block_on("given_name", "date_of_birth"),
            block_on("surname", "date_of_birth"),
            block_on("postcode", "date_of_birth"),
            block_on("surname", "postcode"),
        ],
        "certain": [block_on("soc_sec_id"), block_on("given_name", "surname", "date_of_birth")],
        "recall": 0.9,
        "train": [block_on("date_of_birth"), block_on("postcode")],
    }


def fake_1000():
    return {
        "comparisons": [
            cl.NameComparison("first_name"),
            cl.NameComparison("surname"),
            cl.DateOfBirthComparison("dob", input_is_string=True),
            frequent(cl.ExactMatch("city")),
            cl.EmailComparison("email"),
        ],
        "rules": [block_on("first_name"), block_on("surname"), block_on("dob"), block_on("email")],
        "certain": [block_on("first_name", "surname", "dob"), block_on("email")],
        "recall": 0.7,
        "train": [block_on("first_name", "surname"), block_on("dob")],
    }


def fodors_zagats():
    return {
        "comparisons": [
            cl.JaroWinklerAtThresholds("name", [0.92, 0.8]),
            cl.JaroWinklerAtThresholds("addr", [0.92, 0.8]),
            frequent(cl.ExactMatch("city")),
            cl.LevenshteinAtThresholds("phone", [1, 3]),
            cl.ExactMatch("type"),
        ],
        "rules": [
            block_on("regexp_replace(phone, '[^0-9]', '', 'g')"),
            block_on("substr(name, 1, 4)"),
            block_on("substr(addr, 1, 6)"),
        ],
        "certain": [block_on("name", "city"), block_on("regexp_replace(phone, '[^0-9]', '', 'g')")],
        "recall": 0.8,
        "train": [block_on("city"), block_on("substr(name, 1, 4)")],
    }


def dblp_acm():
    words = "list_sort(list_distinct(string_split(lower({}), ' ')))"
    return {
        "comparisons": [
            cl.JaroWinklerAtThresholds("title", [0.95, 0.88, 0.8]),
            cl.JaroWinklerAtThresholds("authors", [0.92, 0.8]),
            cl.ExactMatch("year"),
            frequent(cl.ExactMatch("venue")),
        ],
        "rules": [
            block_on("lower(substr(title, 1, 12))"),
            block_on("year", "lower(substr(authors, 1, 8))"),
            block_on(f"array_to_string({words.format('title')}[1:4], ' ')", "year"),
        ],
        "certain": [block_on("lower(title)", "year")],
        "recall": 0.7,
        "train": [block_on("year"), block_on("lower(substr(title, 1, 12))")],
    }


def early_childhood():
    return {
        "comparisons": [
            cl.JaroWinklerAtThresholds("site_name", [0.95, 0.88, 0.8]),
            cl.JaroWinklerAtThresholds("address", [0.95, 0.88]),
            frequent(cl.ExactMatch("zip")),
            cl.LevenshteinAtThresholds("phone", [1]),
        ],
        "rules": [
            block_on("phone"),
            block_on("lower(substr(address, 1, 8))"),
            block_on("lower(substr(site_name, 1, 8))"),
        ],
        "certain": [block_on("lower(site_name)", "zip"), block_on("phone", "lower(address)")],
        "recall": 0.6,
        "train": [block_on("phone"), block_on("lower(substr(address, 1, 8))")],
    }


MODELS = {
    model.__name__: model for model in (people_place, febrl4, fake_1000, fodors_zagats, dblp_acm, early_childhood)
}


def read(api, files):
    """The files as text, missing where they are empty; one table each."""
    tables = []
    for number, file in enumerate(files):
        table = f"table{number}"
        api.duckdb_con.execute(
            f"CREATE TABLE {table} AS FROM read_csv(?, header = true, all_varchar = true, quote = '\"', escape = '\"')", [file]
        )
        tables.append(api.register(table, dataset_display_name=f"source{number}"))
    return tables


def train(linker, model):
    linker.training.estimate_probability_two_random_records_match(model["certain"], recall=model["recall"])
    linker.training.estimate_u_using_random_sampling(max_pairs=model.get("sampled", SAMPLED_PAIRS))
    for rule in model["train"]:
        linker.training.estimate_parameters_using_expectation_maximisation(rule)


def group(linker, pairs, sources):
    """Connected components; of linked tables, which have no duplicates of their own, each record's best partner only."""
    clustering = linker.clustering
    if len(sources) == 1:
        return clustering.cluster_pairwise_predictions_at_threshold(pairs, threshold_match_probability=CLUSTERED_FROM)
    return clustering.cluster_using_single_best_links(
        pairs, duplicate_free_datasets=sources, threshold_match_probability=CLUSTERED_FROM
    )


def main():
    name, clusters_file, candidates_file, *files = sys.argv[1:]
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    model = MODELS[name]()
    start = time.perf_counter()
    api = DuckDBAPI()
    tables = read(api, files)
    settings = SettingsCreator(
        link_type="dedupe_only" if len(files) == 1 else "link_only",
        unique_id_column_name="id",
        comparisons=model["comparisons"],
        blocking_rules_to_generate_predictions=model["rules"],
        retain_matching_columns=False,
    )
    linker = Linker(tables[0] if len(tables) == 1 else tables, settings, log_level=None)
    train(linker, model)
    trained = time.perf_counter()
    pairs = linker.inference.predict()
    clusters = group(linker, pairs, [f"source{number}" for number in range(len(files))])
    seconds = time.perf_counter() - start
    write(api, f"SELECT id, cluster_id AS cluster FROM {clusters.physical_name}", clusters_file)
    write(api, f"SELECT id_l AS id1, id_r AS id2, match_probability AS probability FROM {pairs.physical_name}", candidates_file)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "training_seconds": trained - start, "bytes": peak}))


def write(api, query, file):
    api.duckdb_con.execute(f"COPY ({query}) TO '{file}' (HEADER)")


main()
