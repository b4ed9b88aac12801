SELECT r.tableoid, r.oid, n.nspname, p.pubname || ' ' || c.relname, NULL, NULL,
  format('ALTER PUBLICATION %I ADD TABLE ONLY %I.%I', p.pubname, n.nspname, c.relname)
  || coalesce(' (' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.ord) FROM unnest(r.prattrs::int2[]) WITH ORDINALITY k(num, ord) --@>=15
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.num) || ')', '') --@>=15
  || coalesce(' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')', '') --@>=15
  || ';', 'post', c.oid
FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE @user(n) AND @own(p)
