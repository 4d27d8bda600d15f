//! Every metric: name and help. Those that start with `pulsar_function_` mean what they mean in Pulsar Functions.

/// Labels of every metric of a replica; values as Pulsar Functions write them.
pub(crate) const LABELS: [&str; 6] = ["tenant", "namespace", "name", "instance_id", "cluster", "fqfn"];

pub(crate) const RECEIVED: (&str, &str) = ("pulsar_function_received_total", "Messages received from the inputs.");
pub(crate) const PROCESSED: (&str, &str) =
    ("pulsar_function_processed_successfully_total", "Messages whose call returned a value.");
pub(crate) const USER_EXCEPTIONS: (&str, &str) =
    ("pulsar_function_user_exceptions_total", "Calls that ended in a guest error, a trap or a time-out.");
pub(crate) const SYSTEM_EXCEPTIONS: (&str, &str) =
    ("pulsar_function_system_exceptions_total", "Calls that failed on the host's side.");
pub(crate) const LAST_INVOCATION: (&str, &str) =
    ("pulsar_function_last_invocation", "When the last call ended, in milliseconds since the epoch.");
pub(crate) const PROCESS_LATENCY: (&str, &str) =
    ("pulsar_function_process_latency_ms", "Time a call takes, in milliseconds, over the last one to two minutes.");

pub(crate) const FAULTS: (&str, &str) =
    ("pulselet_function_faults_total", "Calls that gave no value, by kind: guest_error, trap, timeout, host_error.");
pub(crate) const COLD_START: (&str, &str) = (
    "pulselet_function_cold_start_seconds",
    "From a message for which there was no instance to its answer, in seconds.",
);
pub(crate) const COLD_START_BUCKETS: [f64; 10] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0];
pub(crate) const CPU_SECONDS: (&str, &str) = ("pulselet_function_cpu_seconds_total", "Processor time of calls.");
pub(crate) const DEAD_LETTERS: (&str, &str) =
    ("pulselet_function_dead_letters_total", "Messages stored in a dead letter topic.");
pub(crate) const DROPPED: (&str, &str) = (
    "pulselet_function_dropped_total",
    "Messages that failed for good and were acked, since there is no dead letter topic, or with at-most-once.",
);
pub(crate) const OUTPUT_DISCARDED: (&str, &str) =
    ("pulselet_function_output_discarded_total", "Answers of a function that declares no output topic.");
pub(crate) const LOG_LINES_DROPPED: (&str, &str) =
    ("pulselet_function_log_lines_dropped_total", "Log lines over the limit of the function.");
pub(crate) const UNSETTLED: (&str, &str) =
    ("pulselet_function_unsettled_messages", "Messages in memory that are not settled.");

/// Numbers of a function's own: counters and gauges under this prefix, observations as Pulsar's summary.
pub(crate) const USER_PREFIX: &str = "pulsar_function_user_metric_";

/// The engine's, without labels but for `compiler`.
pub(crate) const LOADED: (&str, &str) = ("pulselet_engine_loaded_components", "Components that are mapped.");
pub(crate) const KEPT_BYTES: (&str, &str) =
    ("pulselet_engine_kept_bytes", "Memory of components kept loaded while nobody uses them, by estimate.");
pub(crate) const PLACES: (&str, &str) = ("pulselet_engine_places", "Places that instances take.");
pub(crate) const WAITING: (&str, &str) = ("pulselet_engine_admission_waiting", "Instances that wait for a place now.");
pub(crate) const WAITS: (&str, &str) =
    ("pulselet_engine_admission_waits_total", "Times an instance had to wait for a place.");
pub(crate) const WAITED: (&str, &str) =
    ("pulselet_engine_admission_wait_seconds_total", "How long instances have waited for a place.");
pub(crate) const WAIT_TIMEOUTS: (&str, &str) =
    ("pulselet_engine_admission_timeouts_total", "Times an instance waited for a place in vain.");
pub(crate) const LOADS: (&str, &str) = ("pulselet_engine_loads_total", "Times a component was mapped.");
pub(crate) const EVICTIONS: (&str, &str) =
    ("pulselet_engine_evictions_total", "Times a component was unloaded to make room.");
pub(crate) const COMPILATIONS: (&str, &str) =
    ("pulselet_engine_compilations_total", "Components compiled, by compiler: winch, cranelift.");
pub(crate) const REFUSED_FILES: (&str, &str) =
    ("pulselet_engine_refused_files_total", "Files of compiled code that were not what they should be.");
pub(crate) const REVERIFIED_FILES: (&str, &str) =
    ("pulselet_engine_reverified_files_total", "Files of compiled code that had changed and were right all the same.");
pub(crate) const COLLECTED_BYTES: (&str, &str) =
    ("pulselet_engine_collected_bytes_total", "Bytes removed from the store because it was over its budget.");
