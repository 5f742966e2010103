-- Does what is asked with keys and their tokens, one ask after another, and answers each.
-- KEYS: the keys of all asks. ARGV: for each ask its name, its number of keys, its token, its TTL in ms.

-- A lone ask about one key that goes well, as nearly all do, without the rest.
if #KEYS == 1 and #ARGV == 4 then
  if ARGV[1] == 'A' then
    local set = redis.pcall('SET', KEYS[1], ARGV[3], 'NX', 'PX', ARGV[4])
    if set and set.ok then return {0} end
  elseif ARGV[1] == 'R' and redis.pcall('GET', KEYS[1]) == ARGV[3] then
    if redis.pcall('DEL', KEYS[1]) == 1 then return {1} end
  end
end

local answers, key, argument = {}, 1, 1

-- The code of an error, if it is one.
local function code(reply)
  return type(reply) == 'table' and reply.err and string.match(reply.err, '^%S+')
end

-- All keys or none. 0: granted; n > 0: held for n - 1 ms; -1: held without a TTL.
local function acquire(first, last, token, ttl)
  local answer, ours = 0, {}
  for i = first, last do
    local set = redis.pcall('SET', KEYS[i], token, 'NX', 'PX', ttl)
    if not set then
      local value = redis.pcall('GET', KEYS[i])
      if value == token then
        redis.pcall('PEXPIRE', KEYS[i], ttl)
      elseif code(value) then
        answer = code(value)
      else
        local left = redis.pcall('PTTL', KEYS[i])
        if code(left) then
          answer = code(left)
        elseif left < 0 then
          answer = -1
        elseif answer ~= -1 and left + 1 > answer then
          answer = left + 1
        end
      end
    elseif code(set) then
      answer = code(set)
    else
      ours[#ours + 1] = KEYS[i]
    end
    if type(answer) == 'string' then break end
  end
  if answer ~= 0 then
    for _, set in ipairs(ours) do redis.pcall('DEL', set) end
  end
  return answer
end

-- 1: done; 0: the key is absent; -1: it has another value.
local function compare_and(name, i, token, ttl)
  local value = redis.pcall('GET', KEYS[i])
  if code(value) then return code(value) end
  if not value then return 0 end
  if value ~= token then return -1 end
  local reply
  if name == 'E' then
    reply = redis.pcall('PEXPIRE', KEYS[i], ttl)
  else
    reply = redis.pcall('DEL', KEYS[i])
  end
  return code(reply) or reply
end

while argument <= #ARGV do
  local name, keys = ARGV[argument], tonumber(ARGV[argument + 1])
  local token, ttl = ARGV[argument + 2], ARGV[argument + 3]
  if name == 'A' then
    answers[#answers + 1] = acquire(key, key + keys - 1, token, ttl)
  else
    answers[#answers + 1] = compare_and(name, key, token, ttl)
  end
  key, argument = key + keys, argument + 4
end
return answers
