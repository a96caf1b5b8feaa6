--[[
  The end of each script that changes something: writes its story, and remembers its answer,
  the text `kept`, for the case that the reply is cut off.
]]

if ended and pending == 0 and call('ZCARD', leases) == 0 then
  story[#story + 1] = 'drained'
  story[#story + 1] = '1'
  if call('LLEN', drained) == 0 then
    call('RPUSH', drained, '1')
  end
end
if #story > 0 then
  story[#story + 1] = 'pending'
  story[#story + 1] = pending
  call('XADD', events, '*', unpack(story))
end
if ARGV[1] % HOUSEKEEPING == 1 or not last then
  call('XTRIM', events, 'MAXLEN', '~', EVENTS_KEPT)
  call('SET', last_call, ARGV[1] .. ' ' .. kept, 'EX', CALL_KEPT_SECONDS)
else
  call('SET', last_call, ARGV[1] .. ' ' .. kept, 'KEEPTTL')
end
