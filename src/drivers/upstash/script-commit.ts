/** The part of the script that applies commits. @module */
import { LAST_NUMBER } from '../../core/keys.ts'

export const COMMIT: string = `-- A batch of commits.
local deadline, window, digest = take(), takeNumber(), take()
budget = takeNumber()
local request = KEYS[1]
local parts, changed, probed = {}, {}, {}
local begun, writes = false, 0

for i = 1, (#KEYS - 1) / 5 do
  local first = i * 5 - 3
  local part = {
    entries = KEYS[first], keys = KEYS[first + 1], expiring = KEYS[first + 2],
    all = KEYS[first + 3], going = KEYS[first + 4], last = {}, strange = {},
  }
  -- Fails here if a key has another type.
  redis.call('HLEN', part.entries)
  redis.call('ZCARD', part.keys)
  part.expires = redis.call('ZCARD', part.expiring) > 0
  for _, list in ipairs({ part.all, part.going }) do
    probed[list] = probed[list] or redis.call('ZCARD', list)
  end
  parts[i] = part
end

local function takeCommit()
  local commit = { id = take(), checks = {}, ops = {} }
  for i = 1, takeNumber() do
    commit.checks[i] = { kind = take(), part = parts[takeNumber()], key = take(), expected = take() }
  end
  for i = 1, takeNumber() do
    local op = { kind = take(), part = parts[takeNumber()] }
    if op.kind ~= 'x' then op.key = take() end
    if op.kind == 'r' or op.kind == 't' then op.to = take() end
    if op.kind == 'p' or op.kind == 'n' then op.value, op.extra = take(), take() end
    commit.ops[i] = op
  end
  return commit
end

local function endOf(prefix) return string.sub(prefix, 1, -2) .. '"' end
local function logKey(prefix, number) return prefix .. string.format('%016.0f', number) end
local function isNumber(name) return #name == 16 and string.find(name, '^%d+$') ~= nil end

-- The number of a log entry. Entry 0 of a trimmed log holds the last number removed.
local function numberOf(part, prefix, name)
  local digits = string.sub(name, #prefix + 1)
  if not isNumber(digits) then return nil end
  local number = tonumber(digits)
  if number == 0 then
    local packed = redis.call('HGET', part.entries, name)
    number = packed and tonumber(string.match(packed, '^%d*\\n[^\\n]*\\nt(%d+)$'))
  end
  return number and number <= ${LAST_NUMBER} and number or nil
end

-- The last number of a log, and whether there are other keys under its prefix.
local function lastOf(part, prefix)
  local last = part.last[prefix]
  if last then return last, false end
  local upper, isForeign = '(' .. endOf(prefix), false
  while not last do
    local names = redis.call('ZRANGE', part.keys, upper, '[' .. prefix, 'BYLEX', 'REV', 'LIMIT', 0, isForeign and 1000 or 1)
    if #names == 0 then last = 0 end
    for _, name in ipairs(names) do
      last = last or numberOf(part, prefix, name)
      isForeign = isForeign or not last
      upper = '(' .. name
    end
  end
  if not isForeign then part.last[prefix] = last end
  return last, isForeign
end

-- The current state for a failed check, or in any case with always.
local function current(check, always)
  if check.kind == 'l' then
    local last = lastOf(check.part, check.key)
    return (always or last ~= tonumber(check.expected)) and text(last) or nil
  end
  local packed = redis.call('HGET', check.part.entries, check.key)
  local version = live(packed) or ''
  if version == check.expected and not always then return nil end
  if version == '' then return '' end
  return fits(charge(check.key, packed, version)) and packed or headOf(packed)
end

local kept = redis.call('GET', request)
if kept then
  -- Records of the first releases hold only verdicts.
  local till, known, verdicts = string.match(kept, '^(%d+):(%x+):(.*)$')
  if till and tonumber(till) <= now then return reply({ text(now), 'late' }) end
  if till and known ~= digest then return reply({ text(now), 'reused' }) end
  local answers = { text(now) }
  for verdict, numbers in string.gmatch(verdicts or kept, '([+-])([%d,]*)') do
    local commit, answer = takeCommit(), { verdict }
    for number in string.gmatch(numbers, '%d+') do
      answer[#answer + 1] = number
      if verdict == '-' then answer[#answer + 1] = current(commit.checks[number + 1], true) end
    end
    answers[#answers + 1] = answer
  end
  return reply(answers)
end
if deadline ~= '' and (tonumber(deadline) < now or tonumber(deadline) > now + window) then
  return reply({ text(now), 'late' })
end

local commits = {}
while position < #ARGV do commits[#commits + 1] = takeCommit() end

-- Notes a key that is not a number under a log's prefix: the log cannot grow.
local function note(part, key, i)
  for at in string.gmatch(key, '()!') do
    if not isNumber(string.sub(key, at + 1)) then part.strange[string.sub(key, 1, at)] = i end
  end
end

local function isEmptied(commit, part, prefix)
  for _, op in ipairs(commit.ops) do
    if op.part == part and (op.kind == 'x' or op.kind == 'r' and op.key == prefix and op.to == endOf(prefix)) then
      return true
    end
  end
  return false
end

-- Whether a log of the i-th commit cannot grow. Decided before any change, so commits whose checks will fail
-- count too, as do keys that an earlier commit deletes.
local function isForeign(part, prefix, i, commit)
  if part.strange[prefix] == i then return true end
  if commit and isEmptied(commit, part, prefix) then return false end
  local _, foreign = lastOf(part, prefix)
  return foreign or part.strange[prefix] ~= nil
end

for i, commit in ipairs(commits) do
  for _, check in ipairs(commit.checks) do
    if check.kind == 'l' and isForeign(check.part, check.key, i) then return reply({ text(now), 'foreign', check.key }) end
  end
  for _, op in ipairs(commit.ops) do
    if (op.kind == 'n' or op.kind == 't') and isForeign(op.part, op.key, i, commit) then
      return reply({ text(now), 'foreign', op.key })
    end
    if op.kind == 'p' then note(op.part, op.key, i) end
    if op.kind == 'n' and op.extra ~= '' then note(op.part, op.extra, i) end
  end
end

local function change(part)
  if not begun then
    -- The first write. If the server has no memory left, it fails here, before any change.
    redis.call('SET', request, '', 'PX', 2 * window)
    begun = true
  end
  if not part.changed then
    part.changed = true
    changed[#changed + 1] = part
  end
  writes = writes + 1
end

local function remove(part, names)
  redis.call('HDEL', part.entries, unpack(names))
  redis.call('ZREM', part.keys, unpack(names))
  if part.expires then redis.call('ZREM', part.expiring, unpack(names)) end
  part.last = {}
end

local function removeRange(part, from, to)
  while true do
    local names = redis.call('ZRANGE', part.keys, '[' .. from, '(' .. to, 'BYLEX', 'LIMIT', 0, 1000)
    if #names == 0 then return end
    remove(part, names)
  end
end

local function put(part, key, packed, expiry)
  if redis.call('HSET', part.entries, key, packed) == 1 then redis.call('ZADD', part.keys, 0, key) end
  if expiry then
    redis.call('ZADD', part.expiring, text(expiry), key)
    part.expires = true
  elseif part.expires then
    redis.call('ZREM', part.expiring, key)
  end
  for at in string.gmatch(key, '()!') do part.last[string.sub(key, 1, at)] = nil end
end

local apply = {
  x = function(part)
    redis.call('UNLINK', part.entries, part.keys, part.expiring)
    part.expires, part.last = false, {}
  end,
  r = function(part, op) removeRange(part, op.key, op.to) end,
  t = function(part, op, id)
    local marker = logKey(op.key, 0)
    local last = lastOf(part, op.key)
    local trimmed = numberOf(part, op.key, marker) or 0
    local through = math.min(tonumber(op.to), last)
    if through <= trimmed then return end
    removeRange(part, logKey(op.key, trimmed + 1), logKey(op.key, through + 1))
    put(part, marker, '\\n' .. id .. '\\nt' .. text(through))
  end,
  d = function(part, op) remove(part, { op.key }) end,
  p = function(part, op, id)
    local expiry
    if op.extra ~= '' then
      expiry = math.floor(tonumber(string.sub(op.extra, 2)))
      if string.sub(op.extra, 1, 1) == 'i' then expiry = now + expiry end
      expiry = math.min(expiry, 8640000000000000)
    end
    if expiry and expiry <= now then return remove(part, { op.key }) end
    put(part, op.key, (expiry and text(expiry) or '') .. '\\n' .. id .. '\\n' .. op.value, expiry)
  end,
  n = function(part, op, id)
    local seq = lastOf(part, op.key) + 1
    put(part, logKey(op.key, seq), '\\n' .. id .. '\\n' .. op.value)
    if op.extra ~= '' then put(part, op.extra, '\\n' .. id .. '\\nt' .. text(seq)) end
    part.last[op.key] = seq
    return text(seq)
  end,
}

local answers, record = { text(now) }, {}
for _, commit in ipairs(commits) do
  local failed, checks = { '-' }, {}
  for i, check in ipairs(commit.checks) do
    local found = current(check, false)
    if found then
      checks[#checks + 1] = i - 1
      failed[#failed + 1] = tostring(i - 1)
      failed[#failed + 1] = found
    end
  end
  if #checks > 0 then
    answers[#answers + 1] = failed
    record[#record + 1] = '-' .. table.concat(checks, ',')
  else
    local numbers = {}
    for _, op in ipairs(commit.ops) do
      change(op.part)
      numbers[#numbers + 1] = apply[op.kind](op.part, op, commit.id)
    end
    record[#record + 1] = '+' .. table.concat(numbers, ',')
    table.insert(numbers, 1, '+')
    answers[#answers + 1] = numbers
  end
end

-- Removes at least as many as were written, or expired entries would pile up.
local function sweep(part)
  local most = math.max(64, writes)
  local names = redis.call('ZRANGE', part.expiring, '-inf', text(now), 'BYSCORE', 'LIMIT', 0, math.min(most, 5000))
  if #names > 0 then remove(part, names) end
end

-- Redis expires a part whose entries all expire. A later commit removes it from the list.
local function settle(part)
  if part.expires then sweep(part) end
  local name = string.match(part.entries, '^[^:]*:e:(.*)$')
  local entries, expiring = redis.call('ZCARD', part.keys), 0
  if part.expires then expiring = redis.call('ZCARD', part.expiring) end
  if entries > 0 then redis.call('ZADD', part.all, 0, name) else redis.call('ZREM', part.all, name) end
  if entries > 0 and entries == expiring then
    local till = text(redis.call('ZRANGE', part.expiring, 0, 0, 'REV', 'WITHSCORES')[2])
    for _, key in ipairs({ part.entries, part.keys, part.expiring }) do redis.call('PEXPIREAT', key, till) end
    redis.call('ZADD', part.going, till, name)
  elseif redis.call('ZREM', part.going, name) == 1 then
    for _, key in ipairs({ part.entries, part.keys, part.expiring }) do redis.call('PERSIST', key) end
  end
end

for _, part in ipairs(changed) do settle(part) end
for _, part in ipairs(changed) do
  local gone = redis.call('ZRANGE', part.going, '-inf', '(' .. text(now), 'BYSCORE', 'LIMIT', 0, 16)
  if #gone > 0 then
    redis.call('ZREM', part.all, unpack(gone))
    redis.call('ZREM', part.going, unpack(gone))
  end
end
-- Refusals are recorded too, so that a repeat cannot take effect. In the second window, the record shows that a
-- repeat is too late.
redis.call('SET', request, text(now + window) .. ':' .. digest .. ':' .. table.concat(record, ';'), 'PX', 2 * window)
return reply(answers)
`
