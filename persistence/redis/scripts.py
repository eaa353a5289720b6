"""What the Redis backend keeps under which key, and every change to it, as one Lua program.

Keys (P: the URL's prefix, `lbactors`; N: a period's id with % { } as %25 %7B %7D)
    {P}:store           hash    format, id (made once), made_at
    {P}:claim           string  holder, newline, description of the server that uses the store; expires
    {P}:probe           string  written by ping; expires
    {P}:owners          hash    owner of documents -> its highest epoch
    {P}:periods         zset    every period that was given an epoch; scores 0, or when it was dropped
    {P}:d:<collection>  hash    doc_id -> checksum and body
    {P}:i:<collection>  zset    doc_ids in their order; scores 0
    {P:p:N}h            hash    e highest epoch, l last seq, s snapshot's seq, m its manifest,
                                g generation (rises with every put and commit), v last part version
    {P:p:N}j            stream  the journal: entry <last seq>-0 with e epoch, f first seq, b checksum and body
    {P:p:N}p            hash    version -> checksum and body of a snapshot part
    {P:p:N}s            hash    <seq>:<part name> -> version: parts that were put and not committed
A checksum is CRC-32 in 4 bytes, big endian, over names, numbers and body
(`persistence.checksum`). A manifest is a checksum and MessagePack [[part name, seq, version], …].

Keys of one period share a hash tag, and so do documents, owners and the rest: in a Redis Cluster each group
is on one node, where a script sees and changes all of it or nothing. A dropped period keeps `h` with `e`
alone for a week, longer than any writer of it lives.

Every operation checks the epoch in the same step as it writes. It checks everything before the first write:
Redis undoes nothing of a script that fails. Replies: OK or a value; FENCED and the highest epoch; SEQ and
the last seq; others where they are made. All numbers stay strings of decimal digits.
"""

from __future__ import annotations

import hashlib

FORMAT = "2"  # laid out like 1; a journal may hold inputs that the version before would misread
DROPPED_EPOCH_S = 7 * 86_400
TRIM_RECORDS = 1000  # journal records that one `collect` deletes at most

_BODY = """
local op = ARGV[1]
local H, J, P, S = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local function refused(key, field, epoch)  -- nil if this is the highest epoch
  local highest = redis.call('HGET', key, field) or '0'
  if highest ~= epoch or highest == '0' then return {'FENCED', highest} end
end

local function ends_at(seq)  -- whether a journal record ends there
  return tonumber(seq) > 0 and #redis.call('XRANGE', J, seq .. '-0', seq .. '-0') > 0
end

-- Journal: epoch, first seq, last seq, body
if op == 'append' then
  local epoch, first, last, body = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
  local head = redis.call('HMGET', H, 'e', 'l')
  local highest, have = head[1] or '0', head[2] or '0'
  if highest ~= epoch or highest == '0' then return {'FENCED', highest} end
  if tonumber(first) == tonumber(have) + 1 and tonumber(last) >= tonumber(first) then
    redis.call('XADD', J, last .. '-0', 'e', epoch, 'f', first, 'b', body)
    redis.call('HSET', H, 'l', last)
    return 'OK'
  end
  if tonumber(last) > 0 then
    local found = redis.call('XRANGE', J, last .. '-0', last .. '-0')[1]
    if found and found[2][2] == epoch and found[2][4] == first and found[2][6] == body then
      redis.call('HSET', H, 'l', have)  -- a write, so that a WAIT after it covers the record; see Redis 7.2
      return 'OK'
    end
  end
  return {'SEQ', have}
end

-- Several journals, all or none. KEYS: H and J of each; epoch, first seq, last seq, body of each.
-- What keeps the first one that is refused: its number, then FENCED or SEQ as above
if op == 'append_all' then
  local fresh = {}
  for n = 1, #KEYS / 2 do
    local h, j, at = KEYS[2 * n - 1], KEYS[2 * n], 4 * n - 2
    local epoch, first, last, body = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    local head = redis.call('HMGET', h, 'e', 'l')
    local highest, have = head[1] or '0', head[2] or '0'
    if highest ~= epoch or highest == '0' then return {tostring(n), 'FENCED', highest} end
    fresh[n] = tonumber(first) == tonumber(have) + 1 and tonumber(last) >= tonumber(first)
    if not fresh[n] then
      local found = tonumber(last) > 0 and redis.call('XRANGE', j, last .. '-0', last .. '-0')[1]
      if not (found and found[2][2] == epoch and found[2][4] == first and found[2][6] == body) then
        return {tostring(n), 'SEQ', have}
      end
    end
  end
  for n = 1, #KEYS / 2 do
    local at = 4 * n - 2
    if fresh[n] then
      local epoch, first, last, body = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
      redis.call('XADD', KEYS[2 * n], last .. '-0', 'e', epoch, 'f', first, 'b', body)
      redis.call('HSET', KEYS[2 * n - 1], 'l', last)
    else
      redis.call('HSET', KEYS[2 * n - 1], 'l', redis.call('HGET', KEYS[2 * n - 1], 'l'))  -- a write, as above
    end
  end
  return 'OK'
end

if op == 'take_epoch' then
  redis.call('PERSIST', H)
  redis.call('UNLINK', S)
  return tostring(redis.call('HINCRBY', H, 'e', 1))
end

-- Snapshot parts: epoch, seq, then name and body of each
if op == 'put_parts' then
  local no = refused(H, 'e', ARGV[2])
  if no then return no end
  for i = 4, #ARGV, 2 do
    local version = redis.call('HINCRBY', H, 'v', 1)
    redis.call('HSET', P, version, ARGV[i + 1])
    redis.call('HSET', S, ARGV[3] .. ':' .. ARGV[i], version)
  end
  redis.call('HINCRBY', H, 'g', 1)
  return 'OK'
end

-- epoch, generation that the manifest was made from, seq, manifest. CHANGED: make it again
if op == 'commit_snapshot' then
  local no = refused(H, 'e', ARGV[2])
  if no then return no end
  local head = redis.call('HMGET', H, 'g', 's')
  if (head[1] or '0') ~= ARGV[3] then return {'CHANGED'} end
  if (head[2] or '0') ~= ARGV[4] and not ends_at(ARGV[4]) then return {'SEQ', head[2] or '0'} end
  redis.call('HSET', H, 's', ARGV[4], 'm', ARGV[5])
  redis.call('HINCRBY', H, 'g', 1)
  redis.call('UNLINK', S)
  return 'OK'
end

-- Delete what a snapshot made superfluous: epoch, seq, limit, then versions of parts. Records deleted
if op == 'collect' then
  local no = refused(H, 'e', ARGV[2])
  if no then return no end
  if tonumber(ARGV[3]) > tonumber(redis.call('HGET', H, 's') or '0') then return {'SEQ', ARGV[3]} end
  for i = 5, #ARGV do redis.call('HDEL', P, ARGV[i]) end
  local first_kept = string.format('%.0f', tonumber(ARGV[3]) + 1)
  local gone = redis.call('XTRIM', J, 'MINID', '~', first_kept, 'LIMIT', ARGV[4])
  if gone > 0 then return tostring(gone) end
  redis.call('XTRIM', J, 'MINID', first_kept)  -- what shares a node of the stream with records to keep
  return '0'
end

-- Repair: epoch, seq to keep
if op == 'cut' then
  local no = refused(H, 'e', ARGV[2])
  if no then return no end
  local seq, snapshot = ARGV[3], redis.call('HGET', H, 's') or '0'
  if seq ~= snapshot and (tonumber(seq) < tonumber(snapshot) or not ends_at(seq)) then
    return {'SEQ', snapshot}
  end
  for _, entry in ipairs(redis.call('XRANGE', J, '(' .. seq .. '-0', '+')) do
    redis.call('XDEL', J, entry[1])
  end
  if redis.call('XLEN', J) == 0 then redis.call('UNLINK', J) else redis.call('XSETID', J, seq .. '-0') end
  redis.call('UNLINK', S)  -- parts that may show what was cut
  redis.call('HSET', H, 'l', seq)
  return 'OK'
end

-- seconds that its epoch is remembered
if op == 'drop' then
  if redis.call('EXISTS', H) == 0 then return 'OK' end
  redis.call('HINCRBY', H, 'e', 1)
  redis.call('HDEL', H, 'l', 's', 'm', 'g', 'v')
  redis.call('EXPIRE', H, ARGV[2])
  redis.call('UNLINK', J, P, S)
  return 'OK'
end

-- KEYS: periods, store. Period, store's id. OTHER and the id that is there: this is another store
if op == 'register' then
  local id = redis.call('HGET', KEYS[2], 'id') or ''
  if id ~= ARGV[3] then return {'OTHER', id} end
  redis.call('ZADD', KEYS[1], 0, ARGV[2])
  return 'OK'
end

-- KEYS: periods. Period, now, instant before which dropped ones are forgotten (s)
if op == 'deregister' then
  redis.call('ZADD', KEYS[1], 'XX', ARGV[3], ARGV[2])
  redis.call('ZREMRANGEBYSCORE', KEYS[1], 1, ARGV[4])
  return 'OK'
end

-- Documents. KEYS: owners, then hash and index of each collection.
-- owner, epoch, then for each change: number of its collection, id, 1 or 0 (delete), body
if op == 'commit' then
  local no = refused(KEYS[1], ARGV[2], ARGV[3])
  if no then return no end
  for i = 4, #ARGV, 4 do
    local documents, index = KEYS[2 * ARGV[i]], KEYS[2 * ARGV[i] + 1]
    if ARGV[i + 2] == '1' then
      redis.call('HSET', documents, ARGV[i + 1], ARGV[i + 3])
      redis.call('ZADD', index, 0, ARGV[i + 1])
    else
      redis.call('HDEL', documents, ARGV[i + 1])
      redis.call('ZREM', index, ARGV[i + 1])
    end
  end
  return 'OK'
end

-- KEYS: owners, store. Owner, store's id, format that is written from here on. OTHER as above
if op == 'take_ownership' then
  local id = redis.call('HGET', KEYS[2], 'id') or ''
  if id ~= ARGV[3] then return {'OTHER', id} end
  local format = tonumber(redis.call('HGET', KEYS[2], 'format') or '0')
  if format < tonumber(ARGV[4]) then redis.call('HSET', KEYS[2], 'format', ARGV[4]) end
  return tostring(redis.call('HINCRBY', KEYS[1], ARGV[2], 1))
end

-- KEYS: hash, index. Bounds as for ZRANGEBYLEX, number of documents
if op == 'scan' then
  local ids = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
  if #ids == 0 then return {ids, {}} end
  return {ids, redis.call('HMGET', KEYS[1], unpack(ids))}
end

-- KEYS: claim. Holder, description, ms. HELD, by whom, for how many ms still
if op == 'claim' then
  local held = redis.call('GET', KEYS[1])
  if held and string.sub(held, 1, #ARGV[2] + 1) ~= ARGV[2] .. '\\n' then
    return {'HELD', held, tostring(redis.call('PTTL', KEYS[1]))}
  end
  redis.call('SET', KEYS[1], ARGV[2] .. '\\n' .. ARGV[3], 'PX', ARGV[4])
  return 'OK'
end

if op == 'disclaim' then
  local held = redis.call('GET', KEYS[1])
  if held and string.sub(held, 1, #ARGV[2] + 1) == ARGV[2] .. '\\n' then redis.call('UNLINK', KEYS[1]) end
  return 'OK'
end

-- KEYS: store, owners, periods. Format, id, instant. Format and id in force; PARTLY if only the rest is there
if op == 'make' then
  local found = redis.call('HMGET', KEYS[1], 'format', 'id')
  if found[1] then return found end
  if redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then return {'PARTLY'} end
  redis.call('HSET', KEYS[1], 'format', ARGV[2], 'id', ARGV[3], 'made_at', ARGV[4])
  return {ARGV[2], ARGV[3]}
end

return redis.error_reply('unknown operation ' .. op)
"""


class Script:
    """One program under the flags that its operations run with."""

    def __init__(self, flags: str) -> None:
        self.source = f"#!lua{flags}\n{_BODY}".encode()
        self.sha = hashlib.sha1(self.source).hexdigest()  # how Redis names it


# With the first line Redis refuses the whole script when its memory is full, before it has changed anything.
WRITES = Script(" flags=")
FREES = Script(" flags=allow-oom")  # deletes, which must be possible then
SCRIPTS = (WRITES, FREES)
FREEING = {
    "collect",
    "commit_snapshot",  # without it nothing is trimmed
    "drop",
    "register",
    "deregister",
    "cut",
    "disclaim",
    "take_epoch",
    "take_ownership",
    "scan",
}


def script_of(operation: str) -> Script:
    return FREES if operation in FREEING else WRITES
