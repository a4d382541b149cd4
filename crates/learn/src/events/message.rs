//! What the events say, in TensorBoard's messages.

use super::Setting;
use protobuf::RepeatedField;
use std::collections::HashMap;
use tensorboard_proto::api::{Experiment, MetricInfo, MetricName, Status};
use tensorboard_proto::plugin_hparams::{HParamsPluginData, SessionEndInfo, SessionStartInfo};
use tensorboard_proto::summary::{
    HistogramProto, Summary_Value, SummaryMetadata, SummaryMetadata_PluginData,
};
use tensorboard_proto::tensor::TensorProto;
use tensorboard_proto::tensor_shape::{TensorShapeProto, TensorShapeProto_Dim};

/// One number.
pub(super) fn scalar(tag: &str, value: f64) -> Summary_Value {
    let mut summary = tagged(tag);
    summary.set_simple_value(value as f32);
    summary
}

/// Counts of whole numbers: `counts[n]` times the value `n`; none where all are 0.
pub(super) fn histogram(tag: &str, counts: &[f64]) -> Option<Summary_Value> {
    let values = || counts.iter().enumerate().map(|(n, count)| (n as f64, *count));
    let least = counts.iter().position(|count| *count > 0.0)?;
    let most = counts.iter().rposition(|count| *count > 0.0)?;
    let mut histogram = HistogramProto::new();
    histogram.set_min(least as f64);
    histogram.set_max(most as f64);
    histogram.set_num(counts.iter().sum());
    histogram.set_sum(values().map(|(value, count)| value * count).sum());
    histogram.set_sum_squares(values().map(|(value, count)| value * value * count).sum());
    // An empty bucket first: TensorBoard takes the first limit as the left edge.
    let limits = values().map(|(value, _)| value + 0.5);
    histogram.set_bucket_limit(std::iter::once(-0.5).chain(limits).collect());
    histogram.set_bucket(std::iter::once(0.0).chain(counts.iter().copied()).collect());
    let mut summary = tagged(tag);
    summary.set_histo(histogram);
    Some(summary)
}

/// A text in Markdown.
pub(super) fn text(tag: &str, markdown: &str) -> Summary_Value {
    let mut dimension = TensorShapeProto_Dim::new();
    dimension.set_size(1);
    let mut shape = TensorShapeProto::new();
    shape.set_dim(RepeatedField::from_vec(vec![dimension]));
    let mut tensor = TensorProto::new();
    tensor.set_dtype(tensorboard_proto::types::DataType::DT_STRING);
    tensor.set_tensor_shape(shape);
    tensor.set_string_val(RepeatedField::from_vec(vec![markdown.as_bytes().to_vec()]));
    let mut summary = tagged(tag);
    summary.set_metadata(plugin("text", Vec::new()));
    summary.set_tensor(tensor);
    summary
}

/// The settings of a run and the tags that its results have.
pub(super) fn experiment(settings: &[(String, Setting)], results: &[&str]) -> HParamsPluginData {
    let mut experiment = Experiment::new();
    experiment.set_hparam_infos(settings.iter().map(|(name, value)| value.info(name)).collect());
    experiment.set_metric_infos(results.iter().map(|tag| result_info(tag)).collect());
    let mut data = HParamsPluginData::new();
    data.set_experiment(experiment);
    data
}

/// A run begins with these settings, at this time in seconds since 1970.
pub(super) fn session_start(run: &str, settings: &[(String, Setting)], time: f64) -> HParamsPluginData {
    let mut start = SessionStartInfo::new();
    let values = settings.iter().map(|(name, value)| (name.clone(), value.value()));
    start.set_hparams(values.collect::<HashMap<_, _>>());
    start.set_group_name(run.to_owned());
    start.set_start_time_secs(time);
    let mut data = HParamsPluginData::new();
    data.set_session_start_info(start);
    data
}

/// A run is over.
pub(super) fn session_end(success: bool, time: f64) -> HParamsPluginData {
    let mut end = SessionEndInfo::new();
    end.set_status(if success {
        Status::STATUS_SUCCESS
    } else {
        Status::STATUS_FAILURE
    });
    end.set_end_time_secs(time);
    let mut data = HParamsPluginData::new();
    data.set_session_end_info(end);
    data
}

/// What the HPARAMS tab reads, in its bytes.
pub(super) fn hparams(tag: &str, bytes: Vec<u8>) -> Summary_Value {
    // TensorBoard skips summaries without content, so an empty tensor stands beside the metadata.
    let mut tensor = TensorProto::new();
    tensor.set_dtype(tensorboard_proto::types::DataType::DT_FLOAT);
    tensor.set_tensor_shape(TensorShapeProto::new());
    tensor.set_float_val(vec![0.0]);
    let mut summary = tagged(tag);
    summary.set_metadata(plugin("hparams", bytes));
    summary.set_tensor(tensor);
    summary
}

fn tagged(tag: &str) -> Summary_Value {
    let mut value = Summary_Value::new();
    value.set_tag(tag.to_owned());
    value
}

fn plugin(name: &str, content: Vec<u8>) -> SummaryMetadata {
    let mut data = SummaryMetadata_PluginData::new();
    data.set_plugin_name(name.to_owned());
    data.set_content(content);
    let mut metadata = SummaryMetadata::new();
    metadata.set_plugin_data(data);
    metadata
}

fn result_info(tag: &str) -> MetricInfo {
    let mut name = MetricName::new();
    name.set_tag(tag.to_owned());
    let mut info = MetricInfo::new();
    info.set_name(name);
    info
}
