import { createHash } from 'node:crypto'

/** A script and the digest by which a Redis that has seen it knows it. */
export interface Script {
  readonly text: string
  readonly digest: string
}

function script(text: string): Script {
  return { text, digest: createHash('sha1').update(text).digest('hex') }
}

/**
 * Keys of a partition: its position (hash), contents by bucket (hash), buckets by the offset that changed them
 * (sorted set), buckets by their start (sorted set). All in one slot.
 *
 * ARGV: lineage and offset that are expected (lineage empty: nothing is there yet), then lineage, offset, time and
 * memo of the next position, time before which buckets are dropped, life of the keys in ms, then pairs of a
 * bucket's start and content. Answers 1, or the position that is there.
 */
export const COMMIT = script(`
local now = redis.call('HMGET', KEYS[1], 'lineage', 'offset', 'through', 'memo')
if now[1] then
  if now[1] ~= ARGV[1] or now[2] ~= ARGV[2] then return now end
elseif ARGV[1] ~= '' then
  return {}
end
if now[1] ~= ARGV[3] then redis.call('DEL', KEYS[2], KEYS[3], KEYS[4]) end
local through = ARGV[5]
if now[1] == ARGV[3] and tonumber(now[3]) and tonumber(now[3]) > tonumber(through) then through = now[3] end
redis.call('HSET', KEYS[1], 'lineage', ARGV[3], 'offset', ARGV[4], 'through', through, 'memo', ARGV[6])
for i = 9, #ARGV, 2 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  redis.call('ZADD', KEYS[3], ARGV[4], ARGV[i])
  redis.call('ZADD', KEYS[4], ARGV[i], ARGV[i])
end
while true do
  local old = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', '(' .. ARGV[7], 'LIMIT', 0, 1000)
  if #old == 0 then break end
  redis.call('HDEL', KEYS[2], unpack(old))
  redis.call('ZREM', KEYS[3], unpack(old))
  redis.call('ZREM', KEYS[4], unpack(old))
end
for i = 1, 4 do redis.call('PEXPIRE', KEYS[i], ARGV[8]) end
return 1
`)

/**
 * The same keys. ARGV: lineage and offset that the reader has, the lineage empty where it has nothing. Answers
 * nothing, or the position, 1 where all buckets follow and 0 where those changed do, and buckets with contents.
 */
export const CHANGES = script(`
local now = redis.call('HMGET', KEYS[1], 'lineage', 'offset', 'through', 'memo')
if not now[1] then return {} end
local offset = tonumber(now[2])
if now[1] ~= ARGV[1] or not offset or tonumber(ARGV[2]) > offset then
  return {now[1], now[2], now[3], now[4], 1, redis.call('HGETALL', KEYS[2])}
end
local found = {}
local starts = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[2], '+inf')
for i = 1, #starts do
  found[2 * i - 1] = starts[i]
  found[2 * i] = redis.call('HGET', KEYS[2], starts[i])
end
return {now[1], now[2], now[3], now[4], 0, found}
`)
