/** Every way to prove who we are, with TLS, on a real broker. */
import kafkajs from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import type { KafkaConnection } from '../../../src/sources/kafka/connection.ts'
import { kafkajsClient } from '../../../src/sources/kafka/kafkajs/client.ts'
import { RecordingLogger } from '../../kit/recordingLogger.ts'
import { secretsFrom } from '../../kit/trial.ts'
import type { Certificates } from '../../setup/certificates.ts'
import { makeCertificates } from '../../setup/certificates.ts'
import type { KafkaPeer } from '../../setup/kafkaPeer.ts'
import { kafkaPeer } from '../../setup/kafkaPeer.ts'
import type { KafkaServer } from '../../setup/kafkaServer.ts'
import { startKafka } from '../../setup/kafkaServer.ts'
import type { Folder } from '../../setup/running.ts'
import { temporaryFolder } from '../../setup/running.ts'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs

const PASSWORD = 'nine-tall-herons'
const MODULES = 'org.apache.kafka.common.security'
const TOKEN = [{ alg: 'none' }, { sub: 'tideline', iat: 1, exp: 4_000_000_000 }]
  .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
  .concat('')
  .join('.')

let folder: Folder
let certificates: Certificates
let topic: string
const servers: KafkaServer[] = []
const peers: KafkaPeer[] = []
let sasl: readonly string[]
let mutual: readonly string[]

beforeAll(async () => {
  folder = temporaryFolder()
  certificates = makeCertificates(folder.path)
  const keystore = join(folder.path, 'keystore.pem')
  writeFileSync(keystore, certificates.key + certificates.cert)
  const tls = {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': keystore,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': certificates.files.ca,
  }
  const scram = ['SCRAM-SHA-256', 'SCRAM-SHA-512']
  const users = scram.map((mechanism) => `${mechanism}=[name=tideline,password=${PASSWORD}]`)
  const [one, two] = await Promise.all([
    startKafka({
      secured: {
        protocol: 'SASL_SSL',
        scram: users,
        properties: {
          ...tls,
          'sasl.enabled.mechanisms': ['PLAIN', ...scram, 'OAUTHBEARER'].join(','),
          'plain.sasl.jaas.config': `${MODULES}.plain.PlainLoginModule required user_tideline="${PASSWORD}";`,
          'scram-sha-256.sasl.jaas.config': `${MODULES}.scram.ScramLoginModule required;`,
          'scram-sha-512.sasl.jaas.config': `${MODULES}.scram.ScramLoginModule required;`,
          'oauthbearer.sasl.jaas.config': `${MODULES}.oauthbearer.OAuthBearerLoginModule required;`,
          'oauthbearer.sasl.server.callback.handler.class': `${MODULES}.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler`,
        },
      },
    }),
    startKafka({
      secured: { protocol: 'SSL', properties: { ...tls, 'ssl.client.auth': 'required' } },
    }),
  ])
  servers.push(one, two)
  for (const server of servers) {
    const peer = await kafkaPeer(server.brokers)
    peers.push(peer)
    topic = await peer.topic(1, 'detections')
    await peer.admin.createAcls({
      acl: [
        {
          resourceType: AclResourceTypes.TOPIC,
          resourceName: topic,
          resourcePatternType: ResourcePatternTypes.LITERAL,
          principal: 'User:*',
          host: '*',
          operation: AclOperationTypes.DESCRIBE,
          permissionType: AclPermissionTypes.ALLOW,
        },
      ],
    })
  }
  sasl = one.secured
  mutual = two.secured
})
afterAll(async () => {
  for (const peer of peers) await peer.stop()
  for (const server of servers) await server.stop()
  folder?.remove()
})

const log = new RecordingLogger()

/** What a client with this connection says of the topic. */
async function asks(connection: Omit<KafkaConnection, 'clientId'>): Promise<unknown> {
  const { ca, cert, key } = certificates
  const secrets = { CA: ca, CERT: cert, KEY: key, PASSWORD, WRONG: 'wrong-password', TOKEN }
  const deps = { clock: systemClock, secrets: secretsFrom(secrets), log }
  const client = kafkajsClient({ clientId: 'tideline', ...connection }, deps)
  try {
    const found = await client.topics([topic], new AbortController().signal)
    return found.get(topic)?.partitions
  } finally {
    await client.close()
  }
}

const ca = { env: 'CA' }
const trusting = { ca, insecureSkipVerify: false }

describe('SASL over TLS', () => {
  test.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)('%s', async (mechanism) => {
    const user = { mechanism, username: 'tideline' }
    const brokers = [...sasl]
    const right = { brokers, tls: trusting, sasl: { ...user, password: { env: 'PASSWORD' } } }
    expect(await asks(right)).toEqual([0])
    const wrong = { brokers, tls: trusting, sasl: { ...user, password: { env: 'WRONG' } } }
    await expect(asks(wrong)).rejects.toMatchObject({ code: 'unauthorized' })
  })

  test('oauthbearer', async () => {
    const brokers = [...sasl]
    const token = (env: string) => ({ mechanism: 'oauthbearer' as const, token: { env } })
    expect(await asks({ brokers, tls: trusting, sasl: token('TOKEN') })).toEqual([0])
    await expect(asks({ brokers, tls: trusting, sasl: token('WRONG') })).rejects.toMatchObject({
      code: 'unauthorized',
    })
  })
})

describe('TLS', () => {
  test('with a certificate of our own', async () => {
    const tls = { ...trusting, cert: { env: 'CERT' }, key: { env: 'KEY' } }
    expect(await asks({ brokers: [...mutual], tls })).toEqual([0])
  })

  test('without one where it is asked for, or trusting no authority: unauthorized', async () => {
    for (const tls of [trusting, { insecureSkipVerify: false }])
      await expect(asks({ brokers: [...mutual], tls })).rejects.toMatchObject({
        code: 'unauthorized',
      })
  })
})

test('nothing of it is in the log', () => {
  const told = JSON.stringify(log.entries)
  for (const secret of [PASSWORD, 'wrong-password', TOKEN]) expect(told).not.toContain(secret)
})
