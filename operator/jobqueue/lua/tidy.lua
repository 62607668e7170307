-- Forgets workers that have nothing and were not seen for long. ARGV: that time in ms.
ensure_group()
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', jobs, GROUP)) do
  local about = {}
  for i = 1, #consumer, 2 do
    about[consumer[i]] = consumer[i + 1]
  end
  if about['pending'] == 0 and about['idle'] > tonumber(ARGV[1]) then
    redis.call('XGROUP', 'DELCONSUMER', jobs, GROUP, about['name'])
  end
end
