//! The same before a real Elasticsearch, which takes ten seconds to start: `make test-systems`.

use transom_tests::search::elasticsearch;

use super::*;

#[test]
#[ignore = "slow system"]
fn records_that_come_again_change_nothing() {
    scenes::a_topic_is_written_and_written_again(elasticsearch());
}

#[test]
#[ignore = "slow system"]
fn tombstones_delete_documents() {
    scenes::tombstones_delete(elasticsearch());
}

#[test]
#[ignore = "slow system"]
fn upserts_keep_the_order_of_each_document() {
    scenes::fields_are_put_into_documents(elasticsearch());
}

#[test]
#[ignore = "slow system"]
fn a_mapping_error_fails_the_task_and_names_the_record() {
    scenes::a_mapping_error_names_the_record(elasticsearch());
}

#[test]
#[ignore = "slow system"]
fn a_mapping_error_goes_to_the_dead_letters() {
    scenes::a_mapping_error_goes_to_the_dead_letters(elasticsearch());
}

#[test]
#[ignore = "slow system"]
fn a_mapping_error_can_be_left_out() {
    scenes::a_mapping_error_is_left_out(elasticsearch());
}

#[test]
#[ignore = "slow system"]
fn a_server_that_takes_nothing_for_now_holds_up_the_partition() {
    scenes::an_index_that_is_closed_for_now_holds_up_the_partition(elasticsearch());
}
