// Says hello.
interface IHello {
    String hello(String name);
}
