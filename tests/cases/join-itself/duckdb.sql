-- out
select a.*, b.id as ".id", b.boss as ".boss" from read_csv('in/a.csv') a join read_csv('in/a.csv') b on a.boss = b.id;
