SELECT p.tableoid, p.oid, '', p.pubname, pg_get_userbyid(p.pubowner), @identity(p),
  format('CREATE PUBLICATION %I%s WITH (publish = %L', p.pubname, CASE WHEN p.puballtables THEN ' FOR ALL TABLES' ELSE '' END,
    concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
      CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END))
  || CASE WHEN p.pubviaroot THEN ', publish_via_partition_root = true' ELSE '' END
  || CASE p.pubgencols WHEN 's' THEN ', publish_generated_columns = stored' ELSE '' END --@>=18
  || ');', 'post'
FROM pg_publication p WHERE @own(p)
