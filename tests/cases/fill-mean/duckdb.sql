-- out
select a.*, coalesce(v, (select avg(v) from read_csv('in/a.csv'))) as v_filled, coalesce(flag, (select mode(flag) from read_csv('in/a.csv'))) as flag_filled, coalesce(day, (select mode(day) from read_csv('in/a.csv'))) as day_filled, coalesce(text, (select mode(text) from read_csv('in/a.csv'))) as text_filled from read_csv('in/a.csv') a;
