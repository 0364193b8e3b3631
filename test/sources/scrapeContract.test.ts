import { sourceContract } from '../kit/sourceContract.ts'
import type { Harness } from '../kit/sourceContract.ts'
import type { PodQuery, TargetDiscovery } from '../../src/ports.ts'
import type { Target } from '../../src/model.ts'
import { scrapeSource } from '../../src/sources/scrape.ts'
import { HttpUpstream } from './httpUpstream.ts'

const TOKEN = 'open-sesame-8421'

/** One pod, found by discovery, that asks for a bearer token. */
async function harness(): Promise<Harness> {
  let shown = 0
  const upstream = new HttpUpstream((request, response) => {
    if (request.headers.authorization !== `Bearer ${TOKEN}`) response.writeHead(403).end()
    else response.setHeader('content-type', 'text/plain').end(`queue{model="a"} ${shown}\n`)
  })
  await upstream.listen()
  const pod: Target = {
    id: 'default/vision-0',
    url: upstream.url,
    labels: { namespace: 'default', pod: 'vision-0' },
  }
  let publish: (targets: readonly Target[]) => void = () => undefined
  const discovery: TargetDiscovery = {
    watch: (_query: PodQuery, tell, signal) => {
      publish = tell
      publish([pod])
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
    },
  }
  return {
    type: scrapeSource,
    config: (overrides = {}) => ({
      pods: { labelSelector: 'app=vision', port: 8000 },
      interval: '100ms',
      timeout: '80ms',
      auth: { bearerToken: { env: 'TOKEN' } },
      ...overrides,
    }),
    secrets: { TOKEN },
    discovery,
    show: async (value) => void (shown = value),
    expected: (value) => ({
      metric: 'queue',
      labels: { namespace: 'default', pod: 'vision-0', model: 'a' },
      kind: 'gauge',
      value,
    }),
    misbehave: (how) => upstream.misbehave(how),
    behave: () => upstream.behave(),
    vanish: async () => publish([]),
    requests: () => upstream.seen,
    close: () => upstream.close(),
  }
}

sourceContract('scrape', harness)
