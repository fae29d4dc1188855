import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

import org.cloudsimplus.brokers.DatacenterBroker;
import org.cloudsimplus.brokers.DatacenterBrokerSimple;
import org.cloudsimplus.cloudlets.Cloudlet;
import org.cloudsimplus.core.CloudSimPlus;
import org.cloudsimplus.datacenters.DatacenterSimple;
import org.cloudsimplus.hosts.Host;
import org.cloudsimplus.hosts.HostSimple;
import org.cloudsimplus.resources.Pe;
import org.cloudsimplus.resources.PeSimple;
import org.cloudsimplus.schedulers.cloudlet.CloudletSchedulerSpaceShared;
import org.cloudsimplus.traces.SwfWorkloadFileReader;
import org.cloudsimplus.util.Log;
import org.cloudsimplus.utilizationmodels.UtilizationModel;
import org.cloudsimplus.vms.Vm;
import org.cloudsimplus.vms.VmSimple;

import ch.qos.logback.classic.Level;

/**
 * Simulates the instances of a recorded run. Each instance is a VM with a PE for each slot. It starts requests in the order of
 * their arrival.
 *
 * <p>Usage: Stations FOLDER. Reads stations.csv and swf/*.swf, writes results.csv (one line for each request) and prints a table.
 * One unit of simulated time is a microsecond.
 */
public final class Stations {
    /** Instructions of a job of 1 us, and speed of a slot in MIPS. The reader of SWF needs a rate of this size. */
    private static final int MIPS = 1000;

    private record Station(int number, String file, int slots, String name) {}

    private record Simulated(Station station, DatacenterBroker broker) {}

    public static void main(String[] args) throws IOException {
        Log.setLevel(Level.OFF);
        final Path folder = Path.of(args.length > 0 ? args[0] : ".");
        final List<Simulated> all = new ArrayList<>();
        for (final Station station : read(folder.resolve("stations.csv"))) {
            all.add(new Simulated(station, simulate(station, jobs(folder.resolve(station.file())))));
        }
        write(folder.resolve("results.csv"), all);
    }

    /**
     * Each station is simulated separately, because stations do not influence each other. In a common simulation, a broker whose
     * jobs are done would check ten times in each microsecond whether the others are done.
     */
    private static DatacenterBroker simulate(Station station, List<Cloudlet> jobs) {
        final CloudSimPlus simulation = new CloudSimPlus();
        new DatacenterSimple(simulation, List.of(host(station.slots())));
        final DatacenterBroker broker = new DatacenterBrokerSimple(simulation);
        final Vm vm = new VmSimple(MIPS, station.slots());
        // If the scheduler were passed to the constructor, CloudSim would replace it by a time-shared one.
        vm.setCloudletScheduler(new CloudletSchedulerSpaceShared());
        vm.setRam(1).setBw(1).setSize(1);
        broker.submitVm(vm);
        broker.submitCloudletList(jobs);
        simulation.start();
        return broker;
    }

    private static List<Station> read(Path path) throws IOException {
        final List<Station> stations = new ArrayList<>();
        for (final String line : Files.readAllLines(path).stream().skip(1).toList()) {
            final String[] cells = line.split(",", 4);
            stations.add(new Station(Integer.parseInt(cells[0]), cells[1], Integer.parseInt(cells[2]), cells[3]));
        }
        return stations;
    }

    private static Host host(int slots) {
        final List<Pe> pes = new ArrayList<>();
        for (int slot = 0; slot < slots; slot++) {
            pes.add(new PeSimple(MIPS));
        }
        return new HostSimple(1024, 1024, 1024, pes);
    }

    private static List<Cloudlet> jobs(Path path) throws IOException {
        final List<Cloudlet> jobs = new SwfWorkloadFileReader(path.toString(), MIPS).generateWorkload();
        for (final Cloudlet job : jobs) {
            // A job uses only its PE. With other models, jobs wait for memory and bandwidth, which rows do not contain.
            job.setUtilizationModelRam(UtilizationModel.NULL).setUtilizationModelBw(UtilizationModel.NULL);
        }
        return jobs;
    }

    private static void write(Path path, List<Simulated> all) throws IOException {
        System.out.printf("%8s %8s %8s %12s %12s  %s%n", "STATION", "SLOTS", "JOBS", "MEAN WAIT MS", "MEAN WORK MS", "INSTANCE");
        try (BufferedWriter out = Files.newBufferedWriter(path)) {
            out.write("station,job,submit_us,wait_us,run_us\n");
            for (final Simulated simulated : all) {
                final List<Cloudlet> done = new ArrayList<>(simulated.broker().getCloudletFinishedList());
                done.sort(Comparator.comparingLong(Cloudlet::getId));
                double waits = 0;
                double runs = 0;
                for (final Cloudlet job : done) {
                    final double wait = job.getStartTime() - job.getSubmissionDelay();
                    final double run = job.getFinishTime() - job.getStartTime();
                    waits += wait;
                    runs += run;
                    out.write(String.format(Locale.ROOT, "%d,%d,%.0f,%.3f,%.3f%n",
                        simulated.station().number(), job.getId(), job.getSubmissionDelay(), wait, run));
                }
                final int jobs = Math.max(done.size(), 1);
                System.out.printf(Locale.ROOT, "%8d %8d %8d %12.3f %12.3f  %s%n", simulated.station().number(),
                    simulated.station().slots(), done.size(), waits / jobs / 1000, runs / jobs / 1000, simulated.station().name());
            }
        }
    }
}
