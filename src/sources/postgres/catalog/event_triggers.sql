SELECT e.tableoid, e.oid, '', e.evtname, pg_get_userbyid(e.evtowner), @identity(e),
  format('CREATE EVENT TRIGGER %I ON %s', e.evtname, e.evtevent)
  || coalesce(E'\n    WHEN TAG IN (' || (SELECT string_agg(quote_literal(t), ', ' ORDER BY o) FROM unnest(e.evttags) WITH ORDINALITY u(t, o)) || ')', '')
  || format(E'\n    EXECUTE FUNCTION %s();', @function(e.evtfoid))
  || CASE e.evtenabled WHEN 'O' THEN '' ELSE format(E'\nALTER EVENT TRIGGER %I %s;', e.evtname, @enabled(e.evtenabled)) END, 'post'
FROM pg_event_trigger e WHERE @own(e)
