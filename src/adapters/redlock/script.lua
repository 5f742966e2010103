-- Does what is asked with keys and their tokens, one ask after another, and answers each.
-- KEYS: the keys of all asks. ARGV: for each ask its name, its number of keys, its token, its TTL in ms.

-- Most calls are a release of one key that is ours. If anything else is found, it is looked at again below.
if ARGV[1] == 'R' and #ARGV == 4 and redis.pcall('GET', KEYS[1]) == ARGV[3] and redis.pcall('DEL', KEYS[1]) == 1 then
  return {1}
end

local call, keys, arguments = redis.pcall, KEYS, ARGV
local answers, key = {}, 1

-- The code of an error, if it is one. What the user may not do inside a script is told without a code of its own.
local function code(reply)
  local text = type(reply) == 'table' and reply.err
  if text and string.find(text, 'user executing the script', 1, true) then return 'NOPERM' end
  return text and string.match(text, '^%S+')
end

-- Lets a key that is ours live for so long from now, if it would end before: a holder may still count on what it has.
-- 1, or the code of an error.
local function prolong(i, ttl)
  local left = call('PTTL', keys[i])
  if code(left) then return code(left) end
  if left < 0 or left >= tonumber(ttl) then return 1 end
  local reply = call('PEXPIRE', keys[i], ttl)
  return code(reply) or reply
end

-- How a key that was not set is held. 0: it is ours; n > 0: for n - 1 ms; -1: without a TTL.
local function look(i, token)
  local value = call('GET', keys[i])
  if value == token then return 0 end
  if code(value) then return code(value) end
  local left = call('PTTL', keys[i])
  if code(left) then return code(left) end
  -- A key that has ended meanwhile is free at once.
  if left == -2 then return 1 end
  return left < 0 and -1 or left + 1
end

-- All keys or none. 0: granted; else as above, of the key that is held longest.
local function acquire(first, last, token, ttl)
  local answer, ours = 0, {}
  for i = first, last do
    local set = call('SET', keys[i], token, 'NX', 'PX', ttl)
    if not set then
      local held = look(i, token)
      if held == 0 then
        prolong(i, ttl)
      elseif type(held) == 'string' or held == -1 or (answer ~= -1 and held > answer) then
        answer = held
      end
    elseif code(set) then
      answer = code(set)
    else
      ours[#ours + 1] = keys[i]
    end
    if type(answer) == 'string' then break end
  end
  if answer ~= 0 then
    for _, set in ipairs(ours) do call('DEL', set) end
  end
  return answer
end

-- 1: done; 0: the key is absent; -1: it has another value.
local function compare_and(name, i, token, ttl)
  local value = call('GET', keys[i])
  if code(value) then return code(value) end
  if not value then return 0 end
  if value ~= token then return -1 end
  if name == 'E' then return prolong(i, ttl) end
  local reply = call('DEL', keys[i])
  return code(reply) or reply
end

for argument = 1, #arguments, 4 do
  local name, count, token = arguments[argument], arguments[argument + 1], arguments[argument + 2]
  local answer
  -- First what nearly all are: one key, and all goes well.
  if name == 'R' then
    if call('GET', keys[key]) == token and call('DEL', keys[key]) == 1 then answer = 1 end
  elseif name == 'A' and count == '1' then
    local set = call('SET', keys[key], token, 'NX', 'PX', arguments[argument + 3])
    if set and set.ok then answer = 0 end
  end
  if not answer then
    local last = key + tonumber(count) - 1
    if name == 'L' then
      answer = look(key, token)
    elseif name == 'A' then
      answer = acquire(key, last, token, arguments[argument + 3])
    else
      answer = compare_and(name, key, token, arguments[argument + 3])
    end
    key = last + 1
  else
    key = key + 1
  end
  answers[#answers + 1] = answer
end
return answers
