SELECT s.tableoid, s.oid, '', s.subname, pg_get_userbyid(s.subowner), @identity(s),
  format('CREATE SUBSCRIPTION %I CONNECTION %L PUBLICATION %s WITH (connect = false, slot_name = %s', s.subname, s.subconninfo,
    (SELECT string_agg(quote_ident(p), ', ' ORDER BY o) FROM unnest(s.subpublications) WITH ORDINALITY u(p, o)),
    coalesce(quote_literal(s.subslotname), 'NONE'))
  || format(', synchronous_commit = %L', s.subsynccommit)
  || CASE WHEN s.subbinary THEN ', binary = true' ELSE '' END --@>=14
  || CASE s.substream::text WHEN 't' THEN ', streaming = on' WHEN 'true' THEN ', streaming = on' WHEN 'p' THEN ', streaming = parallel' ELSE ', streaming = off' END --@>=14
  || CASE s.subtwophasestate WHEN 'd' THEN '' ELSE ', two_phase = on' END --@>=15
  || CASE WHEN s.subdisableonerr THEN ', disable_on_error = true' ELSE '' END --@>=15
  || CASE WHEN s.subpasswordrequired THEN '' ELSE ', password_required = false' END --@>=16
  || CASE WHEN s.subrunasowner THEN ', run_as_owner = true' ELSE '' END --@>=16
  || CASE s.suborigin WHEN 'any' THEN '' ELSE ', origin = ' || quote_literal(s.suborigin) END --@>=16
  || CASE WHEN s.subfailover THEN ', failover = true' ELSE '' END --@>=17
  || ');', 'post'
FROM pg_subscription s WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND @own(s)
