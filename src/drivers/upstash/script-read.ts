/** The part of the script that answers questions. @module */

export const READ = `if ARGV[1] == 'read' then
  local parts = takeNumber()
  budget = takeNumber()
  local whole = budget
  -- Bytes for the names of parts, in addition to the rest of the answer.
  local most = 1000000
  local room = most

  -- The first item always fits, so that every answer makes progress.
  local function hasRoom(bytes)
    local isFirst = budget == whole
    if isFirst then budget = budget - bytes end
    return isFirst or fits(bytes)
  end

  local function get(entries, key, known)
    local packed = redis.call('HGET', entries, key)
    local version = live(packed)
    if known ~= '' and known == (version and headOf(packed) or '-') then return '=' end
    if not version then return '' end
    return hasRoom(charge(key, packed, version)) and packed or '>'
  end

  local function page(part, from, to, limit, reverse, keysOnly)
    local entries, keys = KEYS[part * 2 - 1], KEYS[part * 2]
    local found, more = {}, '0'
    local lower, upper = '[' .. from, '(' .. to
    local most, longest = 4, 1
    while true do
      local chunk = math.min(limit - #found / 2 + 1, most)
      local names
      if reverse then names = redis.call('ZRANGE', keys, upper, lower, 'BYLEX', 'REV', 'LIMIT', 0, chunk)
      else names = redis.call('ZRANGE', keys, lower, upper, 'BYLEX', 'LIMIT', 0, chunk) end
      if #names == 0 then return found, more end
      local values = redis.call('HMGET', entries, unpack(names))
      for i, name in ipairs(names) do
        local packed = values[i]
        local version = live(packed)
        if version then
          longest = math.max(longest, #packed)
          if keysOnly then packed = headOf(packed) .. 't' end
          if #found == limit * 2 or not hasRoom(charge(name, packed, version)) then return found, '1' end
          found[#found + 1] = name
          found[#found + 1] = packed
        end
      end
      if reverse then upper = '(' .. names[#names] else lower = '(' .. names[#names] end
      -- Fewer at a time if they are large, because all are held in memory.
      most = math.max(1, math.min(32, math.floor(2000000 / longest)))
    end
  end

  local function range(part, from, to, limit, reverse, keysOnly, known)
    if known ~= '' then
      local rest = budget
      budget = unlimited
      local found, more = page(part, from, to, limit, reverse, true)
      budget = rest
      for i = 2, #found, 2 do found[i] = headOf(found[i]) end
      if more .. table.concat(found) == known then return '=' end
    end
    local found, more = page(part, from, to, limit, reverse, keysOnly)
    if #found == 0 and more == '1' then return '>' end
    table.insert(found, 1, more)
    return found
  end

  local answers = { text(now) }
  while position < #ARGV do
    local kind = take()
    if kind == 'g' then
      answers[#answers + 1] = get(KEYS[takeNumber() * 2 - 1], take(), take())
    elseif kind == 'r' then
      answers[#answers + 1] = range(takeNumber(), take(), take(), takeNumber(), take() == '1', take() == '1', take())
    else
      local from, to, limit = '[' .. take(), '(' .. take(), takeNumber() + 1
      local found, bytes = {}, 0
      for i = parts * 2 + 1, #KEYS do
        for _, name in ipairs(redis.call('ZRANGE', KEYS[i], from, to, 'BYLEX', 'LIMIT', 0, limit)) do
          found[#found + 1] = name
          bytes = bytes + 8 + weight(name)
        end
      end
      room = room - bytes
      answers[#answers + 1] = (room >= 0 or room == most - bytes) and found or '>'
    end
  end
  return reply(answers)
end
`
