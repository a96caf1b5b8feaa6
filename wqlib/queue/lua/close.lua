--[[
  The end of each script that changes something: writes its entry in the event stream, and keeps
  what to answer for the case that the reply is cut off.

  TAKES    memo   what to answer, as text, if this call is repeated
           last   see before.lua
  CHANGES  entry  gets its last fields
]]

if ended and pending == 0 and call('ZCARD', leases) == 0 then
  entry[#entry + 1] = 'drained'
  entry[#entry + 1] = '1'
  if call('LLEN', drained) == 0 then
    call('RPUSH', drained, '1')
  end
end
if #entry > 0 then
  entry[#entry + 1] = 'pending'
  entry[#entry + 1] = pending
  call('XADD', events, '*', unpack(entry))
end
if ARGV[1] % HOUSEKEEPING == 1 or not last then
  call('XTRIM', events, 'MAXLEN', '~', EVENTS_KEPT)
  call('SET', last_call, ARGV[1] .. ' ' .. memo, 'EX', CALL_KEPT_SECONDS)
else
  call('SET', last_call, ARGV[1] .. ' ' .. memo, 'KEEPTTL')
end
