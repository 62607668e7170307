-- Before every script: where things lie, and what more than one of them does. KEYS[1] is the prefix of all keys; it
-- holds a hash tag, so that they lie together in a Redis cluster. Times are Redis' own, in milliseconds.
local prefix = KEYS[1]
local jobs, dead, webhooks = prefix .. 'jobs', prefix .. 'dead', prefix .. 'webhooks'
local GROUP = 'workers'
local MOST_DEAD = 1000

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function job_key(id)
  return prefix .. 'job:' .. id
end

-- A Redis that lost everything has no group either.
local function ensure_group()
  if redis.call('EXISTS', jobs) == 0 then
    redis.call('XGROUP', 'CREATE', jobs, GROUP, '0', 'MKSTREAM')
  end
end

local function drop(entry)
  redis.call('XACK', jobs, GROUP, entry)
  redis.call('XDEL', jobs, entry)
end

local function is_open(id)
  local status = redis.call('HGET', job_key(id), 'status')
  return status == 'queued' or status == 'in_progress'
end

local function is_held(entry, consumer)
  return #redis.call('XPENDING', jobs, GROUP, entry, entry, 1, consumer) == 1
end

-- The end of a job, once and for all. What it was asked is kept only where somebody has to look into it. What frees
-- memory comes first: after it a Redis that is full takes the rest of a script.
local function finish(id, status, ttl, ...)
  local key, at = job_key(id), now()
  local entry, idempotency, webhook = unpack(redis.call('HMGET', key, 'entry', 'idempotency', 'webhook'))
  drop(entry)
  if status ~= 'failed' then
    redis.call('HDEL', key, 'body')
  end
  redis.call('HSET', key, 'status', status, 'finished_at', at, 'expires_at', at + ttl * 1000, ...)
  redis.call('EXPIRE', key, ttl)
  if idempotency then
    redis.call('EXPIRE', idempotency, ttl)
  end
  if webhook then
    redis.call('ZADD', webhooks, at, id)
  end
  redis.call('HINCRBY', prefix .. 'ended', status, 1)
end

-- The end of a job whose attempts are used up.
local function bury(id, attempts, ttl, reason)
  finish(id, 'failed', ttl, 'error_code', 'attempts_used_up', 'error', reason)
  redis.call('XADD', dead, 'MAXLEN', '~', MOST_DEAD, '*', 'id', id, 'attempts', attempts, 'reason', reason)
end
