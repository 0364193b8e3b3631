/** Names as Prometheus's OTLP receiver gives them by default (UnderscoreEscapingWithSuffixes). */
import { expect, test } from 'vitest'
import { labelName, metricName } from '../../../adapter/push/otlp/names.ts'

test.each([
  ['http.server.request.duration', 's', 'other', 'http_server_request_duration_seconds'],
  ['inference.requests', '{request}', 'counter', 'inference_requests_total'],
  ['inference.requests', '', 'counter', 'inference_requests_total'],
  ['requests_total', '', 'counter', 'requests_total'],
  ['total.requests', '', 'counter', 'requests_total'],
  ['gpu.memory.used', 'By', 'gauge', 'gpu_memory_used_bytes'],
  ['gpu.memory.used.bytes', 'By', 'gauge', 'gpu_memory_used_bytes'],
  ['gpu.utilization', '1', 'gauge', 'gpu_utilization_ratio'],
  ['cache.hits', '1', 'counter', 'cache_hits_total'],
  ['network.io', 'By/s', 'gauge', 'network_io_bytes_per_second'],
  ['frames', '{frame}/s', 'gauge', 'frames_per_second'],
  ['io.per.second', 'By/s', 'gauge', 'io_per_second_bytes_per_second'],
  ['flow', 'm3/s/h', 'gauge', 'flow_m3_per_s_h'],
  ['power', 'W', 'gauge', 'power_watts'],
  ['load', 'furlong', 'gauge', 'load_furlong'],
  ['vllm:num_requests_running', '', 'gauge', 'vllm:num_requests_running'],
  ['a..b--c', '', 'gauge', 'a_b_c'],
  ['3d.frames', '', 'gauge', '_3d_frames'],
] as const)('%s in %j as a %s is %s', (name, unit, kind, expected) => {
  expect(metricName(name, unit, kind)).toBe(expected)
})

test.each([
  ['http.request.method', 'http_request_method'],
  ['model', 'model'],
  ['0id', 'key_0id'],
  ['_private', 'key_private'],
  ['__reserved', '__reserved'],
])('the attribute %s is the label %s', (key, expected) => {
  expect(labelName(key)).toBe(expected)
})
