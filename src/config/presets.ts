/**
 * The signals of the engines that are known: one line of configuration makes them all. Names of metrics are the
 * engines' own, as their documentation gives them; where an engine has had two names for one thing, both are
 * here, and the one that the running version does not have is absent.
 */
import type { CombineFunction, DescribedKind, Exposure, Matcher, Signal } from '../model.ts'

export const PRESET_NAMES = ['vllm', 'sglang', 'triton', 'tgi', 'trtllm', 'dcgm'] as const
export type PresetName = (typeof PRESET_NAMES)[number]

export interface PresetSignal {
  /** Last part of the signal's name; `[a-z0-9-]`, unique in the preset. */
  readonly name: string
  readonly description: string
  readonly metric: string
  readonly matchers: readonly Matcher[]
  readonly window: Signal['window']
  readonly combine: Signal['combine']
  /** External: letters, digits and `-`, which every autoscaler takes. Custom, on pods: the engine's own name. */
  readonly expose: Exposure
}

/** What the scrape source of an engine's metrics must say, where its defaults do not do. */
export const PRESET_ATTRIBUTION: Readonly<Record<PresetName, 'target' | 'metric'>> = {
  vllm: 'target',
  sglang: 'target',
  triton: 'target',
  tgi: 'target',
  trtllm: 'target',
  // One exporter on each node tells of the GPUs of other pods.
  dcgm: 'metric',
}

/** What is told of pods, named by the label `pod`. */
export const PODS: DescribedKind = {
  resource: 'pods',
  kind: 'Pod',
  apiVersion: 'v1',
  namespaced: true,
  nameLabel: 'pod',
}

const LEVEL_MS = 45_000
const RATE_MS = 60_000
const LATENCY_MS = 120_000
const MIN_COVERAGE = 0.9

type Row = Pick<PresetSignal, 'name' | 'description' | 'metric'> & {
  readonly where?: Readonly<Record<string, string>>
  /** Where the metric's own name would be given twice. */
  readonly custom?: string
}

function signal(
  engine: string,
  row: Row,
  how: Pick<PresetSignal, 'window' | 'combine'>,
): PresetSignal {
  const { name, description, metric, where = {}, custom = metric } = row
  return {
    name,
    description,
    metric,
    matchers: Object.entries(where).map(([label, value]) => ({ label, operator: '=', value })),
    ...how,
    expose: { external: { name: `${engine}-${name}` }, custom: { name: custom, on: PODS } },
  }
}

function perPod(combine: CombineFunction): Signal['combine'] {
  return { function: combine, by: ['namespace', 'pod'], minCoverage: MIN_COVERAGE }
}

/** A count now: the sum over the models or ranks of a pod. */
function count(engine: string, row: Row): PresetSignal {
  return signal(engine, row, {
    window: { function: 'last', durationMs: LEVEL_MS, quantile: 0 },
    combine: perPod('sum'),
  })
}

/** A share or a level now: the highest of a pod, since the fullest part is the one that blocks. */
function level(engine: string, row: Row): PresetSignal {
  return signal(engine, row, {
    window: { function: 'last', durationMs: LEVEL_MS, quantile: 0 },
    combine: perPod('max'),
  })
}

/** A level that jumps from sample to sample, averaged over time. */
function smoothed(engine: string, row: Row): PresetSignal {
  return signal(engine, row, {
    window: { function: 'avg', durationMs: RATE_MS, quantile: 0 },
    combine: perPod('avg'),
  })
}

/** Increase of a counter in a second. */
function rate(engine: string, row: Row): PresetSignal {
  return signal(engine, row, {
    window: { function: 'rate', durationMs: RATE_MS, quantile: 0 },
    combine: perPod('sum'),
  })
}

/** The 90th percentile of a histogram's observations in the window. `metric` is the histogram's own name. */
function p90(engine: string, row: Row): PresetSignal {
  const { metric, custom = `${metric}_p90` } = row
  return signal(
    engine,
    { ...row, metric: `${metric}_bucket`, custom },
    {
      window: { function: 'quantile', durationMs: LATENCY_MS, quantile: 0.9 },
      combine: perPod('sum'),
    },
  )
}

export const PRESETS: Readonly<Record<PresetName, readonly PresetSignal[]>> = {
  vllm: [
    count('vllm', {
      name: 'num-requests-waiting',
      description: 'requests waiting to be scheduled',
      metric: 'vllm:num_requests_waiting',
    }),
    count('vllm', {
      name: 'num-requests-running',
      description: 'requests in the running batch',
      metric: 'vllm:num_requests_running',
    }),
    level('vllm', {
      name: 'kv-cache-usage',
      description: 'used share of the KV cache, 0 to 1 (engine V1)',
      metric: 'vllm:kv_cache_usage_perc',
    }),
    level('vllm', {
      name: 'gpu-cache-usage',
      description: 'used share of the KV cache, 0 to 1 (engine V0 and early V1)',
      metric: 'vllm:gpu_cache_usage_perc',
    }),
    rate('vllm', {
      name: 'requests-per-second',
      description: 'requests finished in a second',
      metric: 'vllm:request_success_total',
    }),
    rate('vllm', {
      name: 'generated-tokens-per-second',
      description: 'tokens generated in a second',
      metric: 'vllm:generation_tokens_total',
    }),
    p90('vllm', {
      name: 'time-to-first-token-p90',
      description: 'time to the first token in seconds, 90th percentile',
      metric: 'vllm:time_to_first_token_seconds',
    }),
    p90('vllm', {
      name: 'queue-time-p90',
      description: 'time in the queue in seconds, 90th percentile',
      metric: 'vllm:request_queue_time_seconds',
    }),
    p90('vllm', {
      name: 'latency-p90',
      description: 'time of a whole request in seconds, 90th percentile',
      metric: 'vllm:e2e_request_latency_seconds',
    }),
  ],
  sglang: [
    count('sglang', {
      name: 'num-queue-reqs',
      description: 'requests in the waiting queue',
      metric: 'sglang:num_queue_reqs',
    }),
    count('sglang', {
      name: 'num-running-reqs',
      description: 'requests running',
      metric: 'sglang:num_running_reqs',
    }),
    level('sglang', {
      name: 'token-usage',
      description: 'used share of the KV cache, 0 to 1',
      metric: 'sglang:token_usage',
    }),
    rate('sglang', {
      name: 'requests-per-second',
      description: 'requests processed in a second',
      metric: 'sglang:num_requests_total',
    }),
    p90('sglang', {
      name: 'time-to-first-token-p90',
      description: 'time to the first token in seconds, 90th percentile',
      metric: 'sglang:time_to_first_token_seconds',
    }),
    p90('sglang', {
      name: 'latency-p90',
      description: 'time of a whole request in seconds, 90th percentile',
      metric: 'sglang:e2e_request_latency_seconds',
    }),
  ],
  triton: [
    count('triton', {
      name: 'pending-requests',
      description: 'requests waiting for a backend',
      metric: 'nv_inference_pending_request_count',
    }),
    rate('triton', {
      name: 'requests-per-second',
      description: 'requests that succeeded in a second',
      metric: 'nv_inference_request_success',
    }),
    rate('triton', {
      name: 'failures-per-second',
      description: 'requests that failed in a second',
      metric: 'nv_inference_request_failure',
    }),
    rate('triton', {
      name: 'queue-time-per-second',
      description: 'microseconds that requests spent in queues, in a second of time',
      metric: 'nv_inference_queue_duration_us',
    }),
    smoothed('triton', {
      name: 'gpu-utilization',
      description: 'GPU utilization, 0 to 1; says little of load',
      metric: 'nv_gpu_utilization',
    }),
  ],
  tgi: [
    count('tgi', {
      name: 'queue-size',
      description: 'requests in the queue',
      metric: 'tgi_queue_size',
    }),
    count('tgi', {
      name: 'batch-current-size',
      description: 'requests in the current batch',
      metric: 'tgi_batch_current_size',
    }),
    rate('tgi', {
      name: 'requests-per-second',
      description: 'requests in a second',
      metric: 'tgi_request_count',
    }),
    p90('tgi', {
      name: 'queue-time-p90',
      description: 'time in the queue in seconds, 90th percentile',
      metric: 'tgi_request_queue_duration',
    }),
    p90('tgi', {
      name: 'latency-p90',
      description: 'time of a whole request in seconds, 90th percentile',
      metric: 'tgi_request_duration',
    }),
  ],
  // The first three are the Triton backend's, the others the engine's own server's (path /prometheus/metrics).
  trtllm: [
    count('trtllm', {
      name: 'waiting-requests',
      description: 'requests waiting (Triton backend)',
      metric: 'nv_trt_llm_request_metrics',
      where: { request_type: 'waiting' },
      custom: 'nv_trt_llm_waiting_requests',
    }),
    count('trtllm', {
      name: 'scheduled-requests',
      description: 'requests scheduled (Triton backend)',
      metric: 'nv_trt_llm_request_metrics',
      where: { request_type: 'scheduled' },
      custom: 'nv_trt_llm_scheduled_requests',
    }),
    level('trtllm', {
      name: 'kv-cache-fraction',
      description: 'used share of the KV cache, 0 to 1 (Triton backend)',
      metric: 'nv_trt_llm_kv_cache_block_metrics',
      where: { kv_cache_block_type: 'fraction' },
      custom: 'nv_trt_llm_kv_cache_fraction',
    }),
    level('trtllm', {
      name: 'kv-cache-utilization',
      description: 'used share of the KV cache, 0 to 1',
      metric: 'trtllm_kv_cache_utilization',
    }),
    rate('trtllm', {
      name: 'requests-per-second',
      description: 'requests finished in a second',
      metric: 'trtllm_request_success_total',
    }),
    p90('trtllm', {
      name: 'time-to-first-token-p90',
      description: 'time to the first token in seconds, 90th percentile',
      metric: 'trtllm_time_to_first_token_seconds',
    }),
    p90('trtllm', {
      name: 'queue-time-p90',
      description: 'time in the queue in seconds, 90th percentile',
      metric: 'trtllm_request_queue_time_seconds',
    }),
  ],
  // Series of GPUs that no pod asked for carry no pod: they are unattributed and in no pod's value.
  dcgm: [
    smoothed('dcgm', {
      name: 'gpu-util',
      description: 'share of time in which any kernel ran, 0 to 100; saturates early',
      metric: 'DCGM_FI_DEV_GPU_UTIL',
    }),
    smoothed('dcgm', {
      name: 'gr-engine-active',
      description: 'share of time in which the engine was active, 0 to 1; there for MIG slices too',
      metric: 'DCGM_FI_PROF_GR_ENGINE_ACTIVE',
    }),
    smoothed('dcgm', {
      name: 'sm-active',
      description: 'share of time in which multiprocessors had work, 0 to 1',
      metric: 'DCGM_FI_PROF_SM_ACTIVE',
    }),
    smoothed('dcgm', {
      name: 'tensor-active',
      description: 'share of time in which tensor cores had work, 0 to 1',
      metric: 'DCGM_FI_PROF_PIPE_TENSOR_ACTIVE',
    }),
    count('dcgm', {
      name: 'memory-used',
      description: 'framebuffer in use, MiB, over the GPUs of a pod',
      metric: 'DCGM_FI_DEV_FB_USED',
    }),
  ],
}
