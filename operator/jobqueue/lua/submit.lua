-- Puts a job in the queue, unless it is there already or the queue is full.
-- ARGV: id, path, body, webhook URL or '', digest of the idempotency key or '', fingerprint of the request, most queued.
-- Returns what became of it, and the id of the job: queued, repeated, conflict, full.
local id, path, body, webhook, digest, fingerprint, most = unpack(ARGV)
local idempotency = prefix .. 'idempotency:' .. digest
ensure_group()
if redis.call('EXISTS', job_key(id)) == 1 then
  return {'queued', id} -- sent again by the client library, which had no answer
end
if digest ~= '' then
  local known = redis.call('HMGET', idempotency, 'id', 'fingerprint')
  if known[1] then
    return {known[2] == fingerprint and 'repeated' or 'conflict', known[1]}
  end
end
if redis.call('XLEN', jobs) - redis.call('XPENDING', jobs, GROUP)[1] >= tonumber(most) then
  return {'full', ''}
end
local entry = redis.call('XADD', jobs, '*', 'id', id)
redis.call('HSET', job_key(id), 'path', path, 'body', body, 'status', 'queued', 'attempts', 0, 'created_at', now(),
  'entry', entry)
if webhook ~= '' then
  redis.call('HSET', job_key(id), 'webhook', webhook)
end
if digest ~= '' then
  redis.call('HSET', idempotency, 'id', id, 'fingerprint', fingerprint)
  redis.call('HSET', job_key(id), 'idempotency', idempotency)
end
return {'queued', id}
