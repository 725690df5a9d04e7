/** The part of the script that applies commits. @module */

export const COMMIT = `-- A batch of commits.
local deadline, window = takeNumber(), take()
budget = takeNumber()
local request = KEYS[1]
local parts, changed = {}, {}
local begun, writes = false, 0

for i = 1, (#KEYS - 1) / 5 do
  local first = i * 5 - 3
  local part = {
    entries = KEYS[first], keys = KEYS[first + 1], expiring = KEYS[first + 2],
    all = KEYS[first + 3], going = KEYS[first + 4], last = {},
  }
  -- Keys of other types make it fail here.
  redis.call('HLEN', part.entries)
  redis.call('ZCARD', part.keys)
  part.expires = redis.call('ZCARD', part.expiring) > 0
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
    if op.kind == 'r' then op.to = take() end
    if op.kind == 'p' or op.kind == 'n' then op.value, op.extra = take(), take() end
    commit.ops[i] = op
  end
  return commit
end

local function lastOf(part, prefix)
  local last = part.last[prefix]
  if not last then
    local upper = '(' .. string.sub(prefix, 1, -2) .. '"'
    local found = redis.call('ZRANGE', part.keys, upper, '[' .. prefix, 'BYLEX', 'REV', 'LIMIT', 0, 1)
    last = found[1] and tonumber(string.sub(found[1], -16)) or 0
    part.last[prefix] = last
  end
  return last
end

-- What is there: nothing where the check holds, unless asked to tell anyway.
local function current(check, always)
  if check.kind == 'l' then
    local last = lastOf(check.part, check.key)
    return (always or last ~= tonumber(check.expected)) and text(last) or nil
  end
  local packed = redis.call('HGET', check.part.entries, check.key)
  local version = live(packed) or ''
  if version == check.expected and not always then return nil end
  if version == '' then return '' end
  return fits(#packed) and packed or '>'
end

local kept = redis.call('GET', request)
if kept then
  local answers = { text(now) }
  for verdict, numbers in string.gmatch(kept, '([+-])([%d,]*)') do
    local commit, answer = takeCommit(), { verdict }
    for number in string.gmatch(numbers, '%d+') do
      answer[#answer + 1] = number
      if verdict == '-' then answer[#answer + 1] = current(commit.checks[number + 1], true) end
    end
    answers[#answers + 1] = answer
  end
  return reply(answers)
end
if now > deadline then return reply({ text(now), 'late' }) end

local function change(part)
  if not begun then
    -- The first that needs memory: where there is none it fails here, before anything has changed.
    redis.call('SET', request, '', 'PX', window)
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

local function put(part, key, packed, expiry)
  if redis.call('HSET', part.entries, key, packed) == 1 then redis.call('ZADD', part.keys, 0, key) end
  if expiry then
    redis.call('ZADD', part.expiring, text(expiry), key)
    part.expires = true
  elseif part.expires then
    redis.call('ZREM', part.expiring, key)
  end
end

local apply = {
  x = function(part)
    redis.call('UNLINK', part.entries, part.keys, part.expiring)
    part.expires, part.last = false, {}
  end,
  r = function(part, op)
    while true do
      local names = redis.call('ZRANGE', part.keys, '[' .. op.key, '(' .. op.to, 'BYLEX', 'LIMIT', 0, 1000)
      if #names == 0 then return end
      remove(part, names)
    end
  end,
  d = function(part, op) remove(part, { op.key }) end,
  p = function(part, op, id)
    local expiry
    if op.extra ~= '' then
      expiry = math.floor(tonumber(string.sub(op.extra, 2)))
      if string.sub(op.extra, 1, 1) == 'i' then expiry = math.min(now + expiry, 8640000000000000) end
    end
    part.last = {}
    if expiry and expiry <= now then return remove(part, { op.key }) end
    put(part, op.key, (expiry and text(expiry) or '') .. '\\n' .. id .. '\\n' .. op.value, expiry)
  end,
  n = function(part, op, id)
    local seq = lastOf(part, op.key) + 1
    put(part, op.key .. string.format('%016.0f', seq), '\\n' .. id .. '\\n' .. op.value)
    if op.extra ~= '' then put(part, op.extra, '\\n' .. id .. '\\nt' .. text(seq)) end
    part.last[op.key] = seq
    return text(seq)
  end,
}

local answers, record, any = { text(now) }, {}, false
while position < #ARGV do
  local commit = takeCommit()
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
    any = true
    record[#record + 1] = '+' .. table.concat(numbers, ',')
    table.insert(numbers, 1, '+')
    answers[#answers + 1] = numbers
  end
end
if not any then return reply(answers) end

-- Takes away as much as was written, at least: otherwise what expires would pile up.
local function sweep(part)
  local most = math.max(64, writes)
  local names = redis.call('ZRANGE', part.expiring, '-inf', text(now), 'BYSCORE', 'LIMIT', 0, math.min(most, 5000))
  if #names > 0 then remove(part, names) end
end

-- A part whose entries all expire is left to Redis; who comes next takes it from the list.
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
redis.call('SET', request, table.concat(record, ';'), 'PX', window)
return reply(answers)
`
