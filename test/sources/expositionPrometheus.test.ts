import fc from 'fast-check'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { formatOf } from '../../src/sources/exposition/format.ts'
import { ExpositionParser } from '../../src/sources/exposition/parser.ts'
import { startPrometheus } from '../setup/prometheusServer.ts'
import type { PrometheusServer } from '../setup/prometheusServer.ts'

const servers: Server[] = []
let prometheus: PrometheusServer | undefined

afterEach(async () => {
  await prometheus?.stop()
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
})

const TEXT = String.raw`# HELP m_a Help with \\ and "quotes" {a="b"} 1
# TYPE m_a counter
m_a 1
m_a{l="plain"} 2
m_a {l="blank before the brace"} 3
m_a{ l = "blanks inside" , k="2" , } 4
m_a{l="tab	and } { , # inside"}	5
m_a{l="q\"q"} 6
m_a{l="\\"} 7
m_a{l="\\\""} 8
m_a{l="a\nb"} 9
m_a{l="\\n"} 10
m_a{l="\t\x"} 11
m_a{l="é→𝄞"} 12
m_a{l="",k="empty"} 13
m_a{l="no blank"}14
m_a{l="exponent"} 1.5e+10
m_a{l="dot"} .25
m_a{l="point"} 5.
m_a{l="long"} 9007199254740993
m_a{l="small"} 4.9e-324
m_a{l="nan"} NaN
m_a{l="inf"} +Inf
m_a{l="ninf"} -Inf
m_a{l="plus"} +7
m:colon:name 1

# a comment
#a comment
`
const OPENMETRICS = String.raw`# HELP m_a Help
# TYPE m_a counter
m_a_total{l="1"} 1
m_a_total{l="exemplar"} 2 # {trace="x } y"} 0.5
# TYPE m_h histogram
# UNIT m_h_seconds seconds
m_h_bucket{le="1.0"} 1 # {} 0.1 1600000000.5
m_h_bucket{le="+Inf"} 2
m_h_sum 3.5
m_h_count 2
# TYPE m_s stateset
m_s{m_s="on"} 1
# TYPE m_i info
m_i_info{v="q\"\\\n"} 1
# EOF
`

/** Lines of one series each, by chance. */
function chance(): string {
  const label = fc.tuple(
    fc.stringMatching(/^l[a-z]{0,2}$/),
    fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 10 }),
      fc.string({ unit: fc.constantFrom('\\', '"', 'n', '}', '{', ','), maxLength: 8 }),
    ),
  )
  const labels = fc.uniqueArray(label, { selector: ([name]) => name, maxLength: 4 })
  const quoted = (text: string) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
  return fc
    .sample(fc.tuple(labels, fc.double({ noNaN: true })), { numRuns: 300, seed: 42 })
    .map(([pairs, value], index) => {
      const head = pairs.map(([name, of]) => `${name}=${quoted(of)}`).join(',')
      return `m_chance{${head}${head === '' ? '' : ','}z="${index}"} ${String(value).replace('Infinity', 'Inf')}\n`
    })
    .join('')
}

const BODIES = [
  ['text/plain; version=0.0.4', TEXT],
  ['text/plain; version=0.0.4', chance()],
  ['application/openmetrics-text; version=1.0.0; charset=utf-8', OPENMETRICS],
] as const

test('the real Prometheus reads the same', async () => {
  const targets = await Promise.all(BODIES.map(([contentType, body]) => serve(contentType, body)))
  prometheus = await startPrometheus({ targets, scrapeInterval: '1s' })
  for (const [index, [contentType, body]] of BODIES.entries())
    expect(ours(contentType, body)).toEqual(await ingested(prometheus.port, targets[index] ?? ''))
})

async function serve(contentType: string, body: string): Promise<string> {
  const server = createServer((_, response) => {
    response.setHeader('content-type', contentType).end(body)
  }).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

function ours(contentType: string, body: string): string[] {
  const samples = new ExpositionParser({
    limits: { lines: 1000, series: 1000, labels: 10 },
    wants: () => true,
    labelsOf: (labels) => Object.fromEntries(labels),
    honorTimestamps: true,
  }).parse({ body, format: formatOf(contentType, body), atMs: 0, framed: true })
  return samples.map(({ metric, labels, value }) => row(metric, labels, value)).toSorted()
}

/** What Prometheus holds after a scrape that succeeded. */
async function ingested(port: number, instance: string): Promise<string[]> {
  const endMs = performance.now() + 15_000
  for (;;) {
    const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(`{instance="${instance}"}`)}`
    const { data } = (await (await fetch(url)).json()) as {
      data: { result: { metric: Record<string, string>; value: [number, string] }[] }
    }
    const up = data.result.find(({ metric }) => metric['__name__'] === 'up')?.value[1]
    if (up === '1')
      return data.result
        .filter(({ metric }) => metric['__name__']?.startsWith('m') === true)
        .map(({ metric: { __name__: name = '', job: _, instance: __, ...labels }, value }) =>
          row(name, labels, Number(value[1].replace('Inf', 'Infinity'))),
        )
        .toSorted()
    if (performance.now() > endMs) {
      const targets = await fetch(`http://127.0.0.1:${port}/api/v1/targets`)
      throw new Error(`not scraped: up is ${up}; ${await targets.text()}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function row(metric: string, labels: Readonly<Record<string, string>>, value: number): string {
  const sorted = Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([metric, sorted, String(value)])
}
