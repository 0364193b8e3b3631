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
 * A Redis whose memory is full may drop one of them and keep the others. So the position says how many buckets there
 * are, and where one of the others has another number of them, all is lost: a missing bucket must not read as none.
 */
const POSITION = `
local now = redis.call('HMGET', KEYS[1], 'lineage', 'offset', 'through', 'memo', 'count')
local held = redis.call('HLEN', KEYS[2])
local count = tonumber(now[5] or held)
if held ~= count or redis.call('ZCARD', KEYS[3]) ~= count or redis.call('ZCARD', KEYS[4]) ~= count then
  now[1] = false
end
`

/**
 * ARGV: lineage and offset that are expected (lineage empty: nothing is there yet), then lineage, offset, time and
 * memo of the next position, time before which buckets are dropped, life of the keys in ms, then pairs of a
 * bucket's start and content. Answers 1, or the position that is there.
 *
 * Redis without memory refuses the first command of a script that needs some, and only that one; so it must come
 * before those that drop something.
 */
export const COMMIT = script(`${POSITION}
if now[1] then
  if now[1] ~= ARGV[1] or now[2] ~= ARGV[2] then return {now[1], now[2], now[3], now[4]} end
elseif ARGV[1] ~= '' then
  return {}
end
local through = ARGV[5]
if now[1] == ARGV[3] and tonumber(now[3]) and tonumber(now[3]) > tonumber(through) then through = now[3] end
redis.call('HSET', KEYS[1], 'lineage', ARGV[3], 'offset', ARGV[4], 'through', through, 'memo', ARGV[6])
if now[1] ~= ARGV[3] then redis.call('DEL', KEYS[2], KEYS[3], KEYS[4]) end
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
redis.call('HSET', KEYS[1], 'count', redis.call('HLEN', KEYS[2]))
for i = 1, 4 do redis.call('PEXPIRE', KEYS[i], ARGV[8]) end
return 1
`)

/**
 * A page of what changed, in the order of the changes. ARGV: lineage and offset that the reader has, the lineage empty
 * where it has nothing; score and start of the last bucket of the page before, empty for the first page; bytes after
 * which a page ends. Answers nothing, or the position, 1 where this is the first page of all buckets and 0 where it
 * goes on from what the reader has, buckets with contents, and score and start of the last one where more follow.
 *
 * A bucket that changes while pages are read moves behind them and comes again. So after the last page the reader has
 * the buckets as of the position that came with it.
 */
export const CHANGES = script(`${POSITION}
if not now[1] then return {} end
local offset = tonumber(now[2])
local whole = now[1] ~= ARGV[1] or not offset or tonumber(ARGV[2]) > offset
local from = 0
if not whole then
  if ARGV[4] == '' then
    from = redis.call('ZCOUNT', KEYS[3], '-inf', ARGV[2])
  elseif redis.call('ZSCORE', KEYS[3], ARGV[4]) == ARGV[3] then
    from = redis.call('ZRANK', KEYS[3], ARGV[4]) + 1
  else
    from = redis.call('ZCOUNT', KEYS[3], '-inf', '(' .. ARGV[3])
  end
end
local found, bytes, last = {}, 0, ''
while from < count and bytes < tonumber(ARGV[5]) do
  local starts = redis.call('ZRANGE', KEYS[3], from, from + 15)
  local contents = redis.call('HMGET', KEYS[2], unpack(starts))
  for i = 1, #starts do
    found[#found + 1] = starts[i]
    found[#found + 1] = contents[i]
    bytes = bytes + #(contents[i] or '')
  end
  from = from + #starts
  last = starts[#starts]
end
local more = from < count
return {now[1], now[2], now[3], now[4], whole and 1 or 0, found,
  more and redis.call('ZSCORE', KEYS[3], last) or '', more and last or ''}
`)
