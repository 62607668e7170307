-- Takes jobs for a worker: first those that nobody renewed for a lease, then the oldest that wait.
-- ARGV: worker, how many, lease in ms, whether to look for the former (1 or 0), most attempts, TTL of results in s, bytes
-- of bodies after which it takes no more.
-- Returns {taken, how many of them were taken over}; a taken one is {entry, id, path, body, attempt, ms since it came}.
local worker, count, lease, look = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local most, ttl, room = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local taken = {}

local function start(message)
  local entry, id = message[1], message[2][2]
  local key = job_key(id)
  if not is_open(id) then
    drop(entry)
    return
  end
  local attempts, path, body, created, reason = unpack(
    redis.call('HMGET', key, 'attempts', 'path', 'body', 'created_at', 'error'))
  if tonumber(attempts) >= most then
    bury(id, attempts, ttl, reason or 'every worker that had it died or lost its connection to Redis')
    return
  end
  room = room - #body
  redis.call('HSET', key, 'status', 'in_progress')
  redis.call('HSETNX', key, 'started_at', now())
  taken[#taken + 1] = {entry, id, path, body, redis.call('HINCRBY', key, 'attempts', 1), now() - created}
end

ensure_group()
if look == '1' then
  for _, pending in ipairs(redis.call('XPENDING', jobs, GROUP, 'IDLE', lease, '-', '+', count)) do
    if room <= 0 then
      break
    end
    for _, message in ipairs(redis.call('XCLAIM', jobs, GROUP, worker, 0, pending[1])) do
      start(message)
    end
  end
end
local taken_over = #taken
while #taken < count and room > 0 do
  local answer = redis.call('XREADGROUP', 'GROUP', GROUP, worker, 'COUNT', 1, 'STREAMS', jobs, '>')
  if not answer then
    break
  end
  start(answer[1][2][1])
end
return {taken, taken_over}
