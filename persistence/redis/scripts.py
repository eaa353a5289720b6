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
                                g generation (rises with every put and commit), v last part version,
                                t seq up to which the journal is trimmed (none: the snapshot's)
    {P:p:N}j            stream  the journal: entry <last seq>-0 with e epoch, f first seq, b checksum and body
    {P:p:N}p            hash    version -> checksum and body of a snapshot part
    {P:p:N}s            hash    <seq>:<part name> -> version: parts that were put and not committed
    {P:p:N}o            zset    overlay: journal records that left the stream when they or a neighbour were
                                rewritten; scores 0, <last seq in 20 digits>:<epoch>:<first seq>:<b as above>
A checksum is CRC-32 in 4 bytes, big endian, over names, numbers and body
(`persistence.checksum`). A manifest is a checksum and MessagePack [[part name, seq, version], …].

An entry of a stream cannot be changed, and XDEL leaves its bytes in memory for as long as another entry lives
in the same node of the stream. So a record that is rewritten moves to the overlay, and with it whatever may
share its node. The journal is what stream and overlay hold together, after `t`; no record is in both.

Keys of one period share a hash tag, and so do documents, owners and the rest: in a Redis Cluster each group
is on one node, where a script sees and changes all of it or nothing. A dropped period keeps `h` with `e`
alone for a week, longer than any writer of it lives.

Every operation checks the epoch in the same step as it writes. It checks everything before the first write:
Redis undoes nothing of a script that fails. Replies: OK or a value; FENCED and the highest epoch; SEQ and
the last seq; others where they are made. All numbers stay strings of decimal digits.
"""

from __future__ import annotations

import hashlib

# 2: laid out like 1; a journal may hold inputs that the version before would misread. 3: the version before
# knows neither `t` nor the overlay; its next snapshot of a log would delete what is kept.
FORMAT = "3"
DROPPED_EPOCH_S = 7 * 86_400
TRIM_RECORDS = 1000  # journal records that one `collect` deletes at most
NODE_BYTES, NODE_ENTRIES = 4096, 100  # of a stream, unless the server's settings say otherwise

_BODY = """
local op = ARGV[1]
local H, J, P, S, O = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local function refused(key, field, epoch)  -- nil if this is the highest epoch
  local highest = redis.call('HGET', key, field) or '0'
  if highest ~= epoch or highest == '0' then return {'FENCED', highest} end
end

local function digits(seq) return string.rep('0', 20 - #seq) .. seq end  -- they sort like numbers

-- Bounds of the overlay's members, as exclusive ones: those that end at a seq lie between the two
local function member_from(seq) return '(' .. digits(seq) .. ':' end
local function member_after(seq) return '(' .. digits(seq) .. ';' end

-- Epoch, first seq and sealed body of the record that ends at a seq, and whether it is in the overlay
local function record_at(seq, journal, overlay)
  if tonumber(seq) <= 0 then return nil end
  local entry = redis.call('XRANGE', journal or J, seq .. '-0', seq .. '-0')[1]
  if entry then return entry[2][2], entry[2][4], entry[2][6], false end
  local member = redis.call('ZRANGE', overlay or O, member_from(seq), member_after(seq), 'BYLEX')[1]
  if member then
    local _, ends, epoch, first = string.find(member, '^%d+:(%d+):(%d+):')
    return epoch, first, string.sub(member, ends + 1), true
  end
end

local function ends_at(seq) return record_at(seq) ~= nil end  -- whether a journal record ends there

local function member_of(last, epoch, first, body)  -- what the overlay has in place of an entry
  return table.concat({digits(last), epoch, first, body}, ':')
end

local function delete_from_overlay(from, to)
  for _, member in ipairs(redis.call('ZRANGE', O, from, to, 'BYLEX')) do redis.call('ZREM', O, member) end
end

-- The seq up to which the journal is trimmed, by the head's t and s
local function floor_of(t, s) return t or s or '0' end

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
  local found_epoch, found_first, found_body = record_at(last)
  if found_epoch == epoch and found_first == first and found_body == body then
    redis.call('HSET', H, 'l', have)  -- a write, so that a WAIT after it covers the record; see Redis 7.2
    return 'OK'
  end
  return {'SEQ', have}
end

-- Several journals, all or none. KEYS: H, J and O of each; epoch, first seq, last seq, body of each.
-- What keeps the first one that is refused: its number, then FENCED or SEQ as above
if op == 'append_all' then
  local fresh = {}
  for n = 1, #KEYS / 3 do
    local h, j, o, at = KEYS[3 * n - 2], KEYS[3 * n - 1], KEYS[3 * n], 4 * n - 2
    local epoch, first, last, body = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    local head = redis.call('HMGET', h, 'e', 'l')
    local highest, have = head[1] or '0', head[2] or '0'
    if highest ~= epoch or highest == '0' then return {tostring(n), 'FENCED', highest} end
    fresh[n] = tonumber(first) == tonumber(have) + 1 and tonumber(last) >= tonumber(first)
    if not fresh[n] then
      local found_epoch, found_first, found_body = record_at(last, j, o)
      if not (found_epoch == epoch and found_first == first and found_body == body) then
        return {tostring(n), 'SEQ', have}
      end
    end
  end
  for n = 1, #KEYS / 3 do
    local h, j, at = KEYS[3 * n - 2], KEYS[3 * n - 1], 4 * n - 2
    if fresh[n] then
      local epoch, first, last, body = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
      redis.call('XADD', j, last .. '-0', 'e', epoch, 'f', first, 'b', body)
      redis.call('HSET', h, 'l', last)
    else
      redis.call('HSET', h, 'l', redis.call('HGET', h, 'l'))  -- a write, as above
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

-- epoch, generation that the manifest was made from, seq, manifest, 1 to keep the journal or 0.
-- CHANGED: make it again
if op == 'commit_snapshot' then
  local no = refused(H, 'e', ARGV[2])
  if no then return no end
  local head = redis.call('HMGET', H, 'g', 's', 't')
  if (head[1] or '0') ~= ARGV[3] then return {'CHANGED'} end
  if (head[2] or '0') ~= ARGV[4] and not ends_at(ARGV[4]) then return {'SEQ', head[2] or '0'} end
  local trimmed = ARGV[6] == '1' and floor_of(head[3], head[2]) or ARGV[4]
  redis.call('HSET', H, 's', ARGV[4], 'm', ARGV[5], 't', trimmed)
  redis.call('HINCRBY', H, 'g', 1)
  redis.call('UNLINK', S)
  return 'OK'
end

-- Delete what a snapshot or a trim made superfluous: epoch, limit, then versions of parts. Records deleted
if op == 'collect' then
  local no = refused(H, 'e', ARGV[2])
  if no then return no end
  for i = 4, #ARGV do redis.call('HDEL', P, ARGV[i]) end
  local head = redis.call('HMGET', H, 't', 's')
  local trimmed = floor_of(head[1], head[2])
  local first_kept = string.format('%.0f', tonumber(trimmed) + 1)
  local gone = redis.call('XTRIM', J, 'MINID', '~', first_kept, 'LIMIT', ARGV[3])
  if gone > 0 then return tostring(gone) end
  local overlaid = redis.call('ZRANGE', O, '-', member_after(trimmed), 'BYLEX', 'LIMIT', 0, ARGV[3])
  for _, member in ipairs(overlaid) do redis.call('ZREM', O, member) end
  if #overlaid > 0 then return tostring(#overlaid) end
  redis.call('XTRIM', J, 'MINID', first_kept)  -- what shares a node of the stream with records to keep
  return '0'
end

-- epoch, seq
if op == 'trim' then
  local no = refused(H, 'e', ARGV[2])
  if no then return no end
  local head, seq = redis.call('HMGET', H, 't', 's'), ARGV[3]
  if tonumber(seq) > tonumber(head[2] or '0') then return {'SEQ', head[2] or '0'} end
  if tonumber(seq) <= tonumber(floor_of(head[1], head[2])) then return 'OK' end
  -- Up to the seq, or to the first seq of the record that the seq is inside of
  local entry = redis.call('XRANGE', J, '(' .. seq .. '-0', '+', 'COUNT', 1)[1]
  local member = redis.call('ZRANGE', O, member_after(seq), '+', 'BYLEX', 'LIMIT', 0, 1)[1]
  local trimmed = tonumber(seq)
  local firsts = {entry and entry[2][4] or '', member and string.match(member, '^%d+:%d+:(%d+)') or ''}
  for _, first in ipairs(firsts) do
    trimmed = math.min(trimmed, (tonumber(first) or trimmed + 1) - 1)
  end
  if trimmed > tonumber(floor_of(head[1], head[2])) then
    redis.call('HSET', H, 't', string.format('%.0f', trimmed))
  end
  return 'OK'
end

-- epoch, bytes and entries that a node of a stream has at most, then epoch, first seq, last seq, body of
-- each. SEQ and the last seq of the one that is not there
if op == 'rewrite' then
  local no = refused(H, 'e', ARGV[2])
  if no then return no end
  local head = redis.call('HMGET', H, 't', 's')
  local trimmed = tonumber(floor_of(head[1], head[2]))
  for i = 5, #ARGV, 4 do
    local epoch, first = record_at(ARGV[i + 2])
    if tonumber(ARGV[i + 2]) <= trimmed or epoch ~= ARGV[i] or first ~= ARGV[i + 1] then
      return {'SEQ', ARGV[i + 2]}
    end
  end
  local node_bytes, node_entries = tonumber(ARGV[3]), tonumber(ARGV[4])
  local function move_neighbours(command, id, stop, size)  -- those that may be in the same node
    local ids, members, seen = {}, {}, 0
    local entries, at = {}, 1
    while size < node_bytes and seen < node_entries do
      if at > #entries then
        entries, at = redis.call(command, J, '(' .. id, stop, 'COUNT', 16), 1
        if #entries == 0 then break end
      end
      local fields = entries[at][2]
      id, at, seen = entries[at][1], at + 1, seen + 1
      for _, value in ipairs(fields) do size = size + #value end
      if size < node_bytes and #fields == 6 then
        ids[#ids + 1] = id
        members[#members + 1] = '0'
        members[#members + 1] = member_of(string.match(id, '^%d+'), fields[2], fields[4], fields[6])
      end
    end
    for start = 1, #ids, 100 do
      local stop_at = math.min(start + 99, #ids)
      redis.call('ZADD', O, unpack(members, 2 * start - 1, 2 * stop_at))
      redis.call('XDEL', J, unpack(ids, start, stop_at))
    end
  end
  for i = 5, #ARGV, 4 do
    local epoch, first, last, body = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
    local _, _, old, overlaid = record_at(last)
    if not overlaid then
      local id = last .. '-0'
      move_neighbours('XRANGE', id, '+', #old)
      move_neighbours('XREVRANGE', id, '-', #old)
      redis.call('XDEL', J, id)
    else
      delete_from_overlay(member_from(last), member_after(last))
    end
    redis.call('ZADD', O, 0, member_of(last, epoch, first, body))
  end
  return 'OK'
end

-- A page of the journal: seq, A or B, records at most, bytes at most. A: what ends after the seq, in order.
-- B: backwards from the record that ends at the seq or first after it.
-- Last seq, snapshot's seq, trimmed up to; then entries of the stream and members of the overlay
if op == 'records' then
  local seq, newest, limit, bytes = ARGV[2], ARGV[3] == 'B', tonumber(ARGV[4]), tonumber(ARGV[5])
  local head = redis.call('HMGET', H, 'l', 's', 't')
  local trimmed = floor_of(head[3], head[2])
  local overlays = redis.call('EXISTS', O) == 1
  local from_entry, from_member
  if newest then
    local entry = redis.call('XRANGE', J, seq .. '-0', '+', 'COUNT', 1)[1]
    local member = overlays and redis.call('ZRANGE', O, '[' .. digits(seq), '+', 'BYLEX', 'LIMIT', 0, 1)[1]
    local top = entry and string.match(entry[1], '^%d+')
    if member and (not top or string.sub(member, 1, 20) < digits(top)) then
      top = string.format('%.0f', tonumber(string.sub(member, 1, 20)))
    end
    from_entry, from_member = top and top .. '-0' or '+', top and member_after(top) or '+'
  else
    if tonumber(seq) < tonumber(trimmed) then seq = trimmed end
    from_entry, from_member = '(' .. seq .. '-0', member_after(seq)
  end
  local found, size = {}, 0
  local entries, members, at_entry, at_member = {}, {}, 1, 1
  local more_entries, more_members = true, overlays
  local step = math.min(limit, 16)
  while #found < limit and size < bytes do
    if more_entries and at_entry > #entries then
      if newest then
        entries = redis.call('XREVRANGE', J, from_entry, '-', 'COUNT', step)
      else
        entries = redis.call('XRANGE', J, from_entry, '+', 'COUNT', step)
      end
      at_entry, more_entries = 1, #entries == step
      if #entries > 0 then from_entry = '(' .. entries[#entries][1] end
    end
    if more_members and at_member > #members then
      if newest then
        members = redis.call('ZRANGE', O, from_member, '-', 'BYLEX', 'REV', 'LIMIT', 0, step)
      else
        members = redis.call('ZRANGE', O, from_member, '+', 'BYLEX', 'LIMIT', 0, step)
      end
      at_member, more_members = 1, #members == step
      if #members > 0 then from_member = '(' .. members[#members] end
    end
    local entry, member = entries[at_entry], members[at_member]
    local entry_seq = entry and tonumber(string.match(entry[1], '^%d+'))
    local member_seq = member and tonumber(string.sub(member, 1, 20))
    if not (entry or member) then break end
    local takes_entry = entry ~= nil
    if entry and member then
      if newest then takes_entry = entry_seq > member_seq else takes_entry = entry_seq < member_seq end
    end
    if newest and (takes_entry and entry_seq or member_seq) <= tonumber(trimmed) then break end
    if takes_entry then
      found[#found + 1] = entry
      for _, value in ipairs(entry[2]) do size = size + #value end
      at_entry = at_entry + 1
    else
      found[#found + 1] = member
      size = size + #member
      at_member = at_member + 1
    end
  end
  return {head[1] or '0', head[2] or '0', trimmed, found}
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
  delete_from_overlay(member_after(seq), '+')
  if redis.call('XLEN', J) == 0 then redis.call('UNLINK', J) else redis.call('XSETID', J, seq .. '-0') end
  redis.call('UNLINK', S)  -- parts that may show what was cut
  redis.call('HSET', H, 'l', seq)
  return 'OK'
end

-- seconds that its epoch is remembered
if op == 'drop' then
  if redis.call('EXISTS', H) == 0 then return 'OK' end
  redis.call('HINCRBY', H, 'e', 1)
  redis.call('HDEL', H, 'l', 's', 'm', 'g', 'v', 't')
  redis.call('EXPIRE', H, ARGV[2])
  redis.call('UNLINK', J, P, S, O)
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
READS = Script(" flags=no-writes")  # possible even while Redis cannot save
SCRIPTS = (WRITES, FREES, READS)
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
    "trim",
}
READING = {"scan", "records"}


def script_of(operation: str) -> Script:
    if operation in READING:
        return READS
    return FREES if operation in FREEING else WRITES
