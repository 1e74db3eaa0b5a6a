#[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75")]
trait Handles {
    fn empty(&self, #[handle()] file: File) -> Result<()>;
    fn kind(&self, #[handle(fiel)] file: File) -> Result<()>;
    fn far_kind(&self, #[handle(giraffe)] file: File) -> Result<()>;
    fn right(&self, #[handle(file, reed)] file: File) -> Result<()>;
    fn rights(&self, #[handle(file, read | execute)] file: File) -> Result<()>;
    fn key(&self, #[handle(file, least = read)] file: File) -> Result<()>;
    fn bounds(&self, #[handle(file, read | write, at_most = read)] file: File) -> Result<()>;
    fn most(&self, #[handle(file, at_most(read))] file: File) -> Result<()>;
    fn sort(&self, #[handle(socket(tcp_steam))] socket: OwnedFd) -> Result<()>;
    fn sort_of_file(&self, #[handle(file(tcp_stream))] socket: OwnedFd) -> Result<()>;
    fn twice(&self, #[handle(file)] #[handle(pipe)] file: OwnedFd) -> Result<()>;
    #[handle(evnt)]
    fn result(&self) -> Result<Event>;
    fn sort_of_pipe(&self, #[handle(pipe(regular))] pipe: OwnedFd) -> Result<()>;
}
