import { z } from 'zod'
import { secretReferenceSchema } from '../reference.ts'
import { tlsSchema } from '../tls.ts'

const BROKER = /^(\[[0-9a-fA-F:.]+\]|[^\s:/@]+):\d{1,5}$/

const brokerSchema = z
  .string()
  .regex(BROKER, 'must be host:port, such as kafka.queues:9092, without a scheme')

const saslSchema = z.discriminatedUnion(
  'mechanism',
  [
    z.strictObject({
      mechanism: z.literal(['plain', 'scram-sha-256', 'scram-sha-512']),
      username: z.string().min(1),
      password: secretReferenceSchema,
    }),
    z.strictObject({
      mechanism: z.literal('oauthbearer'),
      token: secretReferenceSchema.meta({ description: 'read anew for each connection' }),
    }),
  ],
  {
    error: ({ code }: { readonly code?: string }) =>
      code === 'invalid_union'
        ? 'must have a mechanism: plain, scram-sha-256, scram-sha-512 or oauthbearer'
        : undefined,
  },
)

export const topicSchema = z
  .string()
  .regex(/^[a-zA-Z0-9._-]{1,249}$/, 'must be the name of a topic: letters, digits, ".", "_", "-"')

/** How brokers are reached; the same for every Kafka source. */
export const kafkaConnectionShape = {
  brokers: z
    .array(brokerSchema)
    .min(1)
    .max(100)
    .meta({ description: 'some of the brokers, host:port; the others are found through them' }),
  tls: tlsSchema.exactOptional().meta({ description: 'its presence means TLS, with every broker' }),
  sasl: saslSchema.exactOptional(),
  clientId: z.string().min(1).max(255).default('tideline').meta({
    description: 'what brokers call it, in their logs and quotas',
  }),
}

const connectionSchema = z.strictObject(kafkaConnectionShape)
export type KafkaConnection = z.infer<typeof connectionSchema>
