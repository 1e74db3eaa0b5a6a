//! x
fn main(){
let v:Vec<std::path::PathBuf>=std::env::args().skip(1).map(Into::into).collect();
let t=std::time::Instant::now();
syshandle_idl::front::tmp(&v,&Default::default());
eprintln!("{:?}",t.elapsed());
}
